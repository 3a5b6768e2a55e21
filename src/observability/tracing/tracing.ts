import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Lifecycle } from '../../common/lifecycle.js';
import { traces } from '../../common/traces.js';
import { AtriumConfig } from '../../config/config.js';

/** What sending the last spans may take in any case, in ms. */
const LEAST_MS = 500;

/** Ends the recording of traces with the application: what waits is sent, within the time of the drain. */
@Injectable()
export class Tracing implements OnApplicationShutdown {
  constructor(
    private readonly config: AtriumConfig,
    private readonly lifecycle: Lifecycle,
  ) {}

  async onApplicationShutdown(): Promise<void> {
    const { tracing } = this.config;
    if (tracing) await traces?.end(Math.max(LEAST_MS, Math.min(tracing.timeoutMs, this.lifecycle.leftMs)));
  }
}
