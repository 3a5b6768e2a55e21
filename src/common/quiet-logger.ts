import { ConsoleLogger } from '@nestjs/common';

/** Nest's own contexts that list every module, route and frame at each start. */
const WIRING = new Set([
  'InstanceLoader',
  'RouterExplorer',
  'RoutesResolver',
  'WebSocketsController',
  'NestFactory',
]);

/** Nest's logger without the inventory of the application at each start, which `LOG_LEVEL=debug` brings back. */
export class QuietLogger extends ConsoleLogger {
  override log(message: unknown, ...rest: unknown[]): void {
    if (WIRING.has(String(rest.at(-1))) && !this.isLevelEnabled('debug')) return;
    super.log(message, ...rest);
  }
}
