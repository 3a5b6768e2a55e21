import { describe, expect, it } from '@jest/globals';
import { cleanLine, cleanText, cleanValue } from './redaction.js';

describe('A text of the log', () => {
  it.each([
    ['a URL', 'cannot reach postgresql://me:hunter2@db/x'],
    ['a URL whose password has signs', 'cannot reach postgresql://me:h@nter2/hunter2?x@db/x'],
    ['several URLs', 'redis://a:hunter2@one:1,redis://a:hunter2@two:2'],
    ['JSON, also with spaces', '{"password":"correct hunter2 battery","newPassword": "a \\" hunter2"}'],
    ['JSON within JSON', '{\\"clientSecret\\":\\"correct hunter2\\",\\"x\\":1}'],
    ['single quotes', "{ api_key: 'a hunter2' }"],
    ['a form', 'client_secret=hunter2&code_verifier=hunter2'],
    ['an address', '/ws?access_token=hunter2&apiKey=hunter2'],
    ['a header of cookies', 'Cookie: a=hunter2; b=hunter2'],
    ['a header of whatever scheme', 'Proxy-Authorization: Digest username="x", response="hunter2"'],
    ['headers as JSON', '{"authorization":"Key hunter2","x-api-key":"hunter2"}'],
    ['a subprotocol', 'Sec-WebSocket-Protocol: bearer, hunter2'],
    ['a code of an app', '{"mfaToken":"x","code":"123456"}'],
    ['a token', `eyJhbGciOiJIUzI1NiJ9${'hunter2'.repeat(8)}.eyJzdWIi.c2ln`],
    ['a token that is cut off in the middle', `${'x '.repeat(2_040)}hunter2-${'hunter2'.repeat(30)}`],
  ])('has no secret of %s', (_, text) => {
    for (const clean of [cleanLine(text), cleanText(text)]) expect(clean).not.toMatch(/hunter2|123456/);
  });

  it.each([
    'connect ECONNREFUSED 127.0.0.1:5432',
    'duplicate key value violates unique constraint "users_email_key"',
    'Key (id)=(01a2077e-fa07-7060-80d9-0d76ea613339) already exists, error code: 23505',
    'at read (file:///app/node_modules/@nestjs/core/router.js:1:2)',
    'see https://example.com/a?b=1#c',
    'password authentication failed for user "atrium"',
  ])('that has none stays as it is: %s', (text) => {
    expect(cleanLine(text)).toBe(text);
  });

  it('has nothing that a terminal would obey, or hide, and is one line', () => {
    const told = cleanLine('a\r\n\u001b[31m\u009b\u0085\u2028\u202e\u200b\u{e0001}b');
    expect(told).toBe('a\\u000d\\u000a\\u001b[31m\\u009b\\u0085\\u2028\\u202e\\u200b\\ue0001b');
    expect(cleanText('one\n{"level":"fatal"}')).toBe('one\n    {"level":"fatal"}');
  });
});

describe('Data of the log', () => {
  it('has no value whose name says that it is secret, however that is spelled', () => {
    const names = [
      'Authorization',
      'PROXY-AUTHORIZATION',
      'x-api-key',
      'newPassword',
      'mfa_token',
      'SMTP_URL',
    ];
    const secrets = Object.fromEntries(names.map((name) => [name, { at: 'hunter2' }]));
    const clean = JSON.stringify(cleanValue({ headers: { ...secrets }, tokenType: 'Bearer', keys: 7 }));
    expect(clean).not.toContain('hunter2');
    expect(clean).toContain('"tokenType":"Bearer","keys":7');
  });
});
