import { type DynamicModule, Module } from '@nestjs/common';
import { AtriumConfig } from './config.js';

/** Makes the one configuration object injectable everywhere by its class. */
@Module({})
export class ConfigModule {
  static register(config: AtriumConfig): DynamicModule {
    return {
      module: ConfigModule,
      global: true,
      providers: [{ provide: AtriumConfig, useValue: config }],
      exports: [AtriumConfig],
    };
  }
}
