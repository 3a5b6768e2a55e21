import { ConsoleLogger, Injectable, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { CommonModule } from '../../src/common/common.module.js';
import { ConfigModule } from '../../src/config/config.module.js';
import { loadConfig } from '../../src/config/config.js';
import { Jobs } from '../../src/jobs/jobs.js';
import { JobsModule } from '../../src/jobs/jobs.module.js';
import { testVariables, type Variables } from './variables.js';

/** An instance of the queue alone. */
export interface JobsInstance {
  readonly jobs: Jobs;
  /** Whatever the queue itself needs. */
  readonly module: TestingModule;
  stop(): Promise<void>;
}

/**
 * Starts the queue by itself, as a feature's module would use it.
 * @param register says how jobs are done
 */
export async function startJobs(
  databaseUrl: string,
  register: (jobs: Jobs) => void,
  variables: Variables = {},
): Promise<JobsInstance> {
  @Injectable()
  class Feature {
    constructor(jobs: Jobs) {
      register(jobs);
    }
  }
  Reflect.defineMetadata('design:paramtypes', [Jobs], Feature);
  @Module({ imports: [JobsModule], providers: [Feature] })
  class FeatureModule {}

  const config = loadConfig(testVariables(databaseUrl, variables));
  const module = await Test.createTestingModule({
    imports: [ConfigModule.register(config), CommonModule, FeatureModule],
  })
    .setLogger(new ConsoleLogger({ logLevels: [] }))
    .compile();
  await module.init();
  return { jobs: module.get(Jobs, { strict: false }), module, stop: () => module.close() };
}
