import { LOG_LEVELS, type LogLevel } from '../../config/log-levels.js';

/** How much is logged, of all and of some modules apart. */
export interface LogLevelSettings {
  readonly default: LogLevel;
  readonly modules: Readonly<Record<string, LogLevel>>;
}

/** Nest's own modules that list every module, route and frame at each start. */
const WIRING = [
  'InstanceLoader',
  'RouterExplorer',
  'RoutesResolver',
  'WebSocketsController',
  'NestFactory',
  'NestApplication',
];

/** How urgent a line must be to be logged, by the module that says it; may be changed while it runs. */
export class LogLevels {
  private ranks = new Map<string, number>();
  private rank = 0;
  private shown: LogLevelSettings;
  private before: LogLevelSettings | undefined;

  constructor(settings: LogLevelSettings) {
    this.shown = settings;
    this.set(settings);
  }

  get settings(): LogLevelSettings {
    return this.shown;
  }

  isEnabled(module: string, level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) <= (this.ranks.get(module) ?? this.rank);
  }

  set(settings: LogLevelSettings): void {
    this.shown = settings;
    this.rank = LOG_LEVELS.indexOf(settings.default);
    const wiring = Math.min(this.rank, LOG_LEVELS.indexOf('warn'));
    this.ranks = new Map(settings.default === 'debug' ? [] : WIRING.map((module) => [module, wiring]));
    for (const [module, level] of Object.entries(settings.modules))
      this.ranks.set(module, LOG_LEVELS.indexOf(level));
  }

  /** Everything at `debug`, and at the next call as it was before. @returns whether it is at `debug` now */
  toggleDebug(): boolean {
    const { before } = this;
    this.before = before ? undefined : this.shown;
    this.set(before ?? { default: 'debug', modules: {} });
    return !before;
  }
}
