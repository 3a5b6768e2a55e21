import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { normaliseEmail, parseEmail } from '../../src/accounts/email.js';

describe('An address has one spelling', () => {
  it.each([
    ['ada@example.com', 'ada@example.com'],
    ['  Ada@Example.COM\t', 'ada@example.com'],
    ['ａｄａ@example.com', 'ada@example.com'],
    ['ada@ｅｘａｍｐｌｅ．com', 'ada@example.com'],
    ['ada@example。com', 'ada@example.com'],
    ['ﬁnn@example.com', 'finn@example.com'],
    ['u\u0308ber@example.com', 'über@example.com'],
    ['ÜBER@example.com', 'über@example.com'],
    ['ada@BÜCHER.example', 'ada@xn--bcher-kva.example'],
    ['ada@bu\u0308cher.example', 'ada@xn--bcher-kva.example'],
    ['ada@xn--bcher-kva.example', 'ada@xn--bcher-kva.example'],
    ['ada@XN--BCHER-KVA.example', 'ada@xn--bcher-kva.example'],
    ['ada+atrium@example.com', 'ada+atrium@example.com'],
    ['a.d.a@gmail.com', 'a.d.a@gmail.com'],
    ["o'neill@example.co.uk", "o'neill@example.co.uk"],
  ])('%j is %s', (written, normal) => {
    expect(parseEmail(written)).toBe(normal);
    expect(normaliseEmail(written)).toBe(normal);
  });

  it.each([
    '',
    'ada',
    '@example.com',
    'ada@',
    'ada@localhost',
    'ada@example.com.',
    'ada@example.com。',
    'ada@.example.com',
    'ada@example..com',
    'ada@-example.com',
    'ada.@example.com',
    '.ada@example.com',
    'a..da@example.com',
    'ada@127.0.0.1',
    'ada@[127.0.0.1]',
    'ada@2130706433',
    'ada@0x7f.1',
    'ada@ex%61mple.com',
    'ada@example.com:25',
    'ada@example.com/x',
    'ada@eve@example.com',
    'ada＠eve@example.com',
    'ada@example.com, eve@example.com',
    'ada@example.com eve@example.com',
    'Ada <ada@example.com>',
    '"ada"@example.com',
    'a da@example.com',
    'a\u00a0da@example.com',
    'a\u200bda@example.com',
    'a\u200dda@example.com',
    'a\u00adda@example.com',
    'a\u2060da@example.com',
    'a\u202eda@example.com',
    'a\u3164da@example.com',
    'a\ufe0fda@example.com',
    'ada@example.com\r\nBcc: eve@example.com',
    'ada\u0000@example.com',
    `${'a'.repeat(65)}@example.com`,
    `${'ü'.repeat(33)}@example.com`,
    `ada@${'a.'.repeat(130)}com`,
    // 64 characters that become more
    `${'ﷺ'.repeat(20)}@example.com`,
  ])('%j is none', (written) => {
    expect(parseEmail(written)).toBeUndefined();
  });

  it('and that spelling is its own', () => {
    const texts = fc.string({ unit: 'grapheme', maxLength: 30 });
    const addresses = fc.oneof(
      fc.tuple(texts, fc.constantFrom('example.com', 'Bücher.example', 'ｅ.example')).map((p) => p.join('@')),
      texts,
      fc.emailAddress(),
    );
    fc.assert(
      fc.property(addresses, (written) => {
        const normal = normaliseEmail(written);
        expect(normaliseEmail(normal)).toBe(normal);
      }),
      { numRuns: 2_000 },
    );
  });
});
