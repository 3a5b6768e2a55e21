/** Why a text is no JSON Pointer (RFC 6901, section 3) that may be followed; `undefined` if it is one. */
export function pointerFault(text: string): string | undefined {
  if (text !== '' && !text.startsWith('/')) return 'must be empty or begin with /';
  if (/~(?![01])/.test(text)) return 'has a ~ that is neither ~0 nor ~1';
  return text.split('/').includes('__proto__') ? 'has a key that is not allowed: __proto__' : undefined;
}

/** The reference tokens of a JSON Pointer, unescaped. */
export function pointerTokens(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}
