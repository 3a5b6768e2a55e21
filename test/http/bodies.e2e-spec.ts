import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import type { CallOptions } from '../support/http.js';
import { createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';

const MIB = 1_048_576;

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  ada = await registerUser(app);
});
afterAll(() => app.stop());

const send = (raw: CallOptions['raw'], headers: Record<string, string> = {}) =>
  ada.http.call<ItemAnswer & { code: string; errors?: { pointer: string; detail: string }[] }>(
    'POST',
    '/v1/items',
    {
      raw,
      headers,
    },
  );
/** A body whose `data` is this JSON text. */
const withData = (data: string) => `{"title":"t","type":"t","data":${data}}`;
const bytes = (...parts: (string | number[])[]) =>
  new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part as string))));

async function expectRefused(answer: ReturnType<typeof send>, code: string, pointer?: string): Promise<void> {
  const { status, body, headers } = await answer;
  expect(status).toBe(400);
  expect(headers.get('content-type')).toMatch('application/problem+json');
  expect(body.code).toBe(code);
  if (pointer !== undefined) expect(body.errors?.map((error) => error.pointer)).toEqual([pointer]);
}

describe('A body that is no JSON is refused', () => {
  it.each([
    ['cut short', '{"title":"t"'],
    ['with a trailing comma', '{"title":"t",}'],
    ['with a comment', '{/* */}'],
    ['in single quotes', "{'title':'t'}"],
    ['with two values', '{} {}'],
    ['with NaN', withData('{"n":NaN}')],
    ['with a raw line feed in a text', '{"title":"a\nb"}'],
    ['with a leading zero', withData('{"n":01}')],
    ['of white space', '  \n'],
    ['that is a form', 'title=t&type=t'],
  ])('%s', async (_, raw) => expectRefused(send(raw), 'malformed_json'));

  it('for bytes that are not UTF-8', async () => {
    await expectRefused(send(bytes('{"title":"', [0xff, 0xfe], '"}')), 'malformed_json');
    await expectRefused(send(bytes('{"title":"', [0xc0, 0x80], '"}')), 'malformed_json');
    await expectRefused(send(bytes('{"title":"', [0xed, 0xa0, 0x80], '"}')), 'malformed_json');
    await expectRefused(
      send(bytes([0xff, 0xfe], Buffer.from('{}', 'utf16le').toString('latin1'))),
      'malformed_json',
    );
  });

  it('when there is none at all: every field is missed', async () => {
    const answer = await ada.http.post('/v1/items');
    expect(answer.status).toBe(400);
    expect(answer.body.errors?.map(({ pointer }) => pointer)).toEqual(['/title', '/type', '/data']);
  });
});

describe('A body that is JSON, but no object,', () => {
  it.each(['[]', '"text"', 'null', '7'])('such as %s, is refused as a whole, in a sentence', async (raw) => {
    const { status, body } = await ada.http.call('POST', '/v1/items', { raw });
    expect([status, body.detail]).toEqual([400, 'The input must be a JSON object']);
    expect(body.errors).toEqual([{ pointer: '', detail: 'must be a JSON object' }]);
  });
});

describe('A body of thousands of mistakes', () => {
  it('is answered with the first hundred of them, and how many more there are', async () => {
    const unknown = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`k${n}`, n]));
    const { status, body, text } = await ada.http.post('/v1/items', unknown);
    expect([status, body.errors?.length]).toEqual([400, 100]);
    expect(body.detail).toMatch(/\(and 20002 more, see errors\)/);
    expect(text.length).toBeLessThan(20_000);
  });
});

describe('A patch without a body', () => {
  it('is none: nothing is changed, and no version is made', async () => {
    const item = await createItem(ada);
    for (const path of [`/v1/items/${item.id}`, '/v1/me', `/v1/workspaces/${ada.workspaceId}`]) {
      const before = await ada.http.get<{ version: number }>(path);
      const { status, body } = await ada.http.patch(path);
      expect([path, status, body.code]).toEqual([path, 400, 'validation_failed']);
      expect((await ada.http.get<{ version: number }>(path)).body.version).toBe(before.body.version);
    }
  });
});

describe('JSON that could not be given back as it came is refused, with a pointer', () => {
  const lone = '\\ud800';
  it.each([
    ['a NUL character in a text', '{"a":["\\u0000"]}', '/data/a/0'],
    ['a NUL character in a key', '{"a\\u0000b":1}', '/data/a\\u0000b'],
    ['half of a surrogate pair', `{"a":"x${lone}y"}`, '/data/a'],
    ['the other half', '{"a":{"b":"\\udc00"}}', '/data/a/b'],
    ['a __proto__ key', '{"a":{"__proto__":{"admin":true}}}', '/data/a/__proto__'],
    ['an escaped __proto__ key', '{"\\u005f_proto__":1}', '/data/__proto__'],
    ['an integer past 2^53', '{"n":9007199254740993}', '/data/n'],
    ['a negative one', '{"n":-9007199254740993}', '/data/n'],
    ['a decimal with too many digits', '{"n":[0,0.1000000000000000055511151231257827]}', '/data/n/1'],
    ['a number too big', '{"n":1e400}', '/data/n'],
    ['a number too small', '{"n":1E-400}', '/data/n'],
    ['a number past the biggest', '{"n":1.7976931348623159e308}', '/data/n'],
    ['a long number under a key to escape', '{"a/b~c":12345678901234567890}', '/data/a~1b~0c'],
  ])('%s', async (_, data, pointer) => expectRefused(send(withData(data)), 'validation_failed', pointer));

  it('also where it stands beside data', async () => {
    await expectRefused(send('{"title":"\\u0000","type":"t","data":{}}'), 'validation_failed', '/title');
    await expectRefused(
      send('{"title":"t","type":"t","data":{},"__proto__":{}}'),
      'validation_failed',
      '/__proto__',
    );
  });

  it('in patches as well', async () => {
    const { body } = await send(withData('{"n":1}'));
    const patch = await ada.http.call('PATCH', `/v1/items/${body.id}`, {
      raw: '{"data":{"n":9007199254740993}}',
    });
    expect(patch.status).toBe(400);
    expect((await ada.http.get<ItemAnswer>(`/v1/items/${body.id}`)).body.data).toEqual({ n: 1 });
  });

  it('nested deeper than 100 levels; 100 are fine', async () => {
    // The body's own object is the first level.
    const nested = (levels: number) => withData('{"a":'.repeat(levels - 1) + '1' + '}'.repeat(levels - 1));
    await expectRefused(send(nested(101)), 'malformed_json');
    await expectRefused(send(withData('[['.repeat(50_000))), 'malformed_json');
    expect((await send(nested(100))).status).toBe(201);
    const brackets = withData(JSON.stringify({ a: '[{"\\'.repeat(200) }));
    expect((await send(brackets)).status).toBe(201);
  });
});

describe('JSON that can be kept comes back with the same value', () => {
  it.each([
    '1.0',
    '1e2',
    '0.1',
    '9007199254740991',
    '-9007199254740991',
    '9007199254740992',
    '1.7976931348623157e308',
    '5e-324',
    '-0',
    '0e99',
    '1E+2',
    '123456789012345',
    '0.000000000000001',
    '1e21',
    '100000000000000000000',
    '-1.5e-7',
    '3.141592653589793',
  ])('the number %s', async (number) => {
    const { status, body } = await send(withData(`{"n":${number}}`));
    expect(status).toBe(201);
    // By comparison: -0 and 0 are the same number.
    expect((body.data['n'] as number) === Number(number)).toBe(true);
    const read = await ada.http.get<ItemAnswer>(`/v1/items/${body.id}`);
    expect((read.body.data['n'] as number) === Number(number)).toBe(true);
  });

  it.each(['\\ud83c\\udf89', '🎉', 'e\u0301', '\\u001f\\u007f', '\\u2028', '\ufeff', '\\\\u0000', '\uffff'])(
    'the text %s',
    async (text) => {
      const { status, body } = await send(withData(`{"s":"${text}"}`));
      expect(status).toBe(201);
      const read = await ada.http.get<ItemAnswer>(`/v1/items/${body.id}`);
      expect(read.body.data['s']).toBe(JSON.parse(`"${text}"`));
    },
  );
});

describe('The type of a body', () => {
  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
    'application/merge-patch+json',
    'application/json; charset=latin1',
    'application/json; charset=utf-16',
  ])('%s is answered 415 with what would do', async (type) => {
    const { status, body, headers } = await send(withData('{}'), { 'Content-Type': type });
    expect(status).toBe(415);
    expect(body.code).toBe('unsupported_media_type');
    expect(headers.get('accept-post')).toBe('application/json');
  });

  it('missing is answered 415 too', async () => {
    const raw = new Uint8Array(Buffer.from(withData('{}')));
    expect((await send(raw, { 'Content-Type': '' })).status).toBe(415);
  });

  it.each([
    'application/json',
    'Application/JSON',
    'application/json; charset=utf-8',
    'application/json;charset="UTF-8"',
  ])('%s is fine', async (type) =>
    expect((await send(withData('{}'), { 'Content-Type': type })).status).toBe(201),
  );
});

describe('The size of a body', () => {
  const ofSize = (size: number) => {
    const [before, after] = withData('{"s":"|"}').split('|');
    return `${before}${'x'.repeat(size - before.length - after.length)}${after}`;
  };
  const chunked = (text: string) =>
    new ReadableStream({
      start(controller) {
        for (let at = 0; at < text.length; at += 65_536)
          controller.enqueue(Buffer.from(text.slice(at, at + 65_536)));
        controller.close();
      },
    });

  it('of exactly 1 MiB is fine, with or without a declared length', async () => {
    expect((await send(ofSize(MIB))).status).toBe(201);
    expect((await send(chunked(ofSize(MIB)))).status).toBe(201);
  });

  it('of one byte more is answered 413, with or without a declared length', async () => {
    for (const raw of [ofSize(MIB + 1), chunked(ofSize(MIB + 1))]) {
      const { status, body } = await send(raw);
      expect(status).toBe(413);
      expect(body.code).toBe('body_too_large');
    }
  });

  it('is measured after decompression', async () => {
    const bomb = new Uint8Array(gzipSync('x'.repeat(50 * MIB)));
    expect(bomb.length).toBeLessThan(MIB / 10);
    expect((await send(bomb, { 'Content-Encoding': 'gzip' })).status).toBe(413);
  });
});

describe('A compressed body', () => {
  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const)('by %s is read', async (encoding, compress) => {
    const raw = new Uint8Array(compress(withData('{"a":1}')));
    expect((await send(raw, { 'Content-Encoding': encoding })).body.data).toEqual({ a: 1 });
  });

  it('that is broken is refused', async () => {
    const whole = new Uint8Array(gzipSync(withData('{"a":1}')));
    for (const raw of [
      whole.slice(0, -10),
      bytes('no gzip at all'),
      whole.map((byte, n) => (n === 12 ? byte ^ 255 : byte)),
    ])
      await expectRefused(send(raw, { 'Content-Encoding': 'gzip' }), 'unreadable_body');
  });

  it('in an encoding nobody knows is answered 415', async () => {
    const { status, headers } = await send(withData('{}'), { 'Content-Encoding': 'rot13' });
    expect([status, headers.get('accept-encoding')]).toEqual([415, 'gzip, deflate, br, zstd']);
    const upload = await ada.http.call('POST', '/v1/items/import', {
      raw: '{}',
      headers: { 'Content-Type': 'application/x-ndjson', 'Content-Encoding': 'gzip' },
    });
    expect([upload.status, upload.headers.get('accept-encoding')]).toEqual([415, 'identity']);
  });
});
