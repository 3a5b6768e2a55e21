import { SECRET_VARIABLES } from '../../config/secret-variables.js';

/** Properties that hold secrets, wherever they stand; names of variables and headers among them. */
const SECRET_NAMES = [
  'authorization',
  'cookie',
  'set-cookie',
  'x-csrf-token',
  'password',
  'currentPassword',
  'newPassword',
  'token',
  'accessToken',
  'refreshToken',
  'access_token',
  'refresh_token',
  'id_token',
  'client_secret',
  'clientSecret',
  'client_assertion',
  'device_code',
  'deviceCode',
  'secret',
  'code_verifier',
  'recoveryCode',
  ...SECRET_VARIABLES,
];
/** How deep the log looks into what is logged. */
export const DEEPEST = 4;
const WIDEST = 50;

export const CENSORED = '[redacted]';

/** Paths of properties that never reach the log (pino's `redact`). */
export const SECRET_PATHS: string[] = SECRET_NAMES.flatMap((name) => {
  const last = /^\w+$/.test(name) ? `.${name}` : `["${name}"]`;
  const depths = Array.from({ length: DEEPEST + 1 }, (_, depth) => `data${'.*'.repeat(depth)}${last}`);
  return [/^\w+$/.test(name) ? name : `["${name}"]`, ...depths];
});

/** The same, and others, in any spelling: what a name may end in, once it has neither capitals nor signs. */
const SECRET_ENDINGS =
  /(?:authorization|cookie|password|passphrase|secret|token|apikey|privatekey|assertion|codeverifier|(?:recovery|device|user)code|(?:database|direct|redis|smtp)url|websocketprotocol|otlpheaders)$/;

const isSecretName = (name: string): boolean =>
  SECRET_ENDINGS.test(name.toLowerCase().replaceAll(/[^a-z]/g, ''));

/** A value behind `=` or `:`, to the quote that ends it; without one, what `bare` says. */
const valueOf = (bare: string): string =>
  String.raw`(\\?["']?\s*[=:]\s*)(?:(\\")[^"\\]*|(")(?:[^"\\]|\\.)*|(')[^']*|${bare})`;
const secretOf = (name: string, bare: string): readonly [RegExp, string] => [
  new RegExp(String.raw`\b(${name})${valueOf(bare)}`, 'gi'),
  `$1$2$3$4$5${CENSORED}`,
];
/** The lines of a header may have spaces, quotes and commas. */
const HEADER = '(?:proxy-)?authorization|(?:set-)?cookie|sec-websocket-protocol';
const NAMED = String.raw`[\w-]{0,40}(?:password|passwd|pwd|passphrase|secret|token|api[_-]?key|client_assertion|code_verifier|(?:recovery|device|user)_?code)`;

/** Secrets in running text, such as the message of an error that quotes what it was given. Each in linear time. */
const IN_TEXT: readonly (readonly [RegExp, string])[] = [
  // postgresql://user:password@host, whatever stands in the password
  [/\b([a-z][a-z0-9+.-]{0,30}:\/\/)(?!\/)[^\s"']{0,512}@/gi, `$1${CENSORED}@`],
  secretOf(HEADER, String.raw`[^\r\n]+`),
  [/\b(Bearer|Basic|DPoP)\s+[\w.~+/=-]+/gi, `$1 ${CENSORED}`],
  secretOf(NAMED, String.raw`[^\s"'&,;]+`),
  [/([?&](?:code|state|nonce)=)[^&\s"']+/gi, `$1${CENSORED}`],
  // Of authenticator apps
  [/(\bcode\\?["']?\s*[=:]\s*\\?["']?)\d{6}(?!\d)/gi, `$1${CENSORED}`],
  // Our tokens, and everybody's: longer than any word, and than a UUID.
  [/[\w-]{40,}(?:\.[\w-]{4,})*/g, CENSORED],
];

/** What a terminal would obey, or show as if it were not there: controls, formats, the line breaks of Unicode. */
const CONTROL = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;
/** Where `\n` and tabs are part of the text, as in a stack. */
const CONTROL_BUT_BREAKS = /(?![\n\t])[\p{Cc}\p{Cf}\u2028\u2029]/gu;

const escaped = (control: string): string =>
  `\\u${(control.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;

/** How much more is looked at than is shown, so that no secret is told for being cut off in the middle. */
const BEYOND = 512;

/** A text without secrets that can be told by their shape, at most so many characters long. */
function withoutSecrets(text: string, most: number): string {
  let clean = text.slice(0, most + BEYOND);
  for (const [pattern, instead] of IN_TEXT) clean = clean.replace(pattern, instead);
  return text.length > most ? `${clean.slice(0, most)}…` : clean;
}

const MOST_OF_LINE = 4_096;
const MOST_OF_TEXT = 16_384;

/** A text as one line: without secrets, and without what a terminal or a reader of lines would obey. */
export const cleanLine = (text: string): string =>
  withoutSecrets(text, MOST_OF_LINE).replace(CONTROL, escaped);

/** {@link cleanLine} for what has several lines, such as a stack: each is indented, so that none looks like ours. */
export const cleanText = (text: string): string =>
  withoutSecrets(text, MOST_OF_TEXT)
    .replace(CONTROL_BUT_BREAKS, escaped)
    .replaceAll(/\n[ \t]*/g, '\n    ');

/** What is logged as data: all texts clean, and no more of it than somebody reads. */
export function cleanValue(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return cleanText(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEEPEST) return '…';
  if (Array.isArray(value)) return value.slice(0, WIDEST).map((each) => cleanValue(each, depth + 1));
  const entries = Object.entries(value).slice(0, WIDEST);
  return Object.fromEntries(
    entries.map(([name, each]) => [
      cleanLine(name),
      isSecretName(name) ? CENSORED : cleanValue(each, depth + 1),
    ]),
  );
}
