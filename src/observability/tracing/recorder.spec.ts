import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Recorder } from './recorder.js';
import { OwnSampler } from './sampling.js';

const exporter = new InMemorySpanExporter();
const recorderOf = (ratio: number): Recorder => {
  const provider = new TracerProvider({
    sampler: new OwnSampler(ratio),
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
  });
  return new Recorder(provider, provider.getTracer('test'), () => undefined);
};
const recorder = recorderOf(1);
const statement = { kind: 'statement', name: 'items.read', text: 'SELECT 1' } as const;
const spans = () => exporter.getFinishedSpans();

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
beforeEach(() => exporter.reset());
afterAll(() => context.disable());

describe('A recorder', () => {
  it('has so many spans below a frame at most, however they are nested; of the others it counts how many', async () => {
    await recorder.runFrame('publish', undefined, {}, () =>
      recorder.run({ kind: 'transaction' }, async () => {
        for (let n = 0; n < 300; n++) await recorder.run(statement, () => Promise.resolve());
      }),
    );
    const frame = spans().at(-1);
    expect(spans()).toHaveLength(257);
    expect([frame?.name, frame?.attributes['atrium.spans_left_out']]).toEqual(['frame publish', 45]);
  });

  it('begins nothing by itself for what belongs to no trace, and leaves the trace where it is told to', async () => {
    expect(recorder.begin({ kind: 'mail' })).toBeUndefined();
    await recorder.run(statement, () => Promise.resolve());
    await recorder.runFrame('publish', undefined, {}, async () => {
      expect(recorder.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
      await recorder.outside(() => recorder.run(statement, () => Promise.resolve()));
    });
    expect(spans().map(({ name }) => name)).toEqual(['frame publish']);
  });

  it('hands on what is thrown, and says of it what kind it is', async () => {
    const error = Object.assign(new Error('a secret'), { code: '23505' });
    await expect(
      recorder.runFrame('publish', undefined, {}, () => recorder.run(statement, () => Promise.reject(error))),
    ).rejects.toBe(error);
    expect(spans()[0]?.attributes['error.type']).toBe('23505');
    expect(
      JSON.stringify(spans().map(({ attributes, status, events }) => [attributes, status, events])),
    ).not.toContain('a secret');
  });

  it('knows the trace of what is not recorded, and does it all the same', async () => {
    const none = recorderOf(0);
    const ids = await none.runFrame('publish', undefined, {}, () =>
      Promise.resolve([none.traceId, none.traceparent, none.begin(statement)]),
    );
    expect(ids).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), undefined, undefined]);
    expect(spans()).toEqual([]);
  });
});
