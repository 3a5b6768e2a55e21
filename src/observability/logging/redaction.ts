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
  'TOKEN_SECRET',
  'FACTOR_SECRET',
  'DATABASE_URL',
  'DATABASE_DIRECT_URL',
  'REDIS_URL',
  'SMTP_URL',
  'OTEL_EXPORTER_OTLP_HEADERS',
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

/** Secrets in running text, such as the message of an error that quotes what it was given. */
const IN_TEXT: readonly (readonly [RegExp, string])[] = [
  // postgresql://user:password@host
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s"'/?#@]*@/gi, `$1${CENSORED}@`],
  [/\b(Bearer|Basic|DPoP)\s+[\w.~+/=-]+/gi, `$1 ${CENSORED}`],
  [
    /\b((?:access_|refresh_|id_|csrf_)?token|client_secret|client_assertion|(?:current|new)?password|secret|authorization|cookie)(\\?["']?\s*[=:]\s*\\?["']?)[^\s"'&,;\\]+/gi,
    `$1$2${CENSORED}`,
  ],
  [/([?&](?:code|state|nonce)=)[^&\s"']+/gi, `$1${CENSORED}`],
  // Our tokens, and everybody's: longer than any word, and than a UUID.
  [/[\w-]{40,}(?:\.[\w-]{4,})*/g, CENSORED],
];

/** What a terminal would obey: C0 and C1 controls, and the line breaks of Unicode. */
const CONTROL = /[\p{Cc}\u2028\u2029]/gu;
/** Where `\n` and tabs are part of the text, as in a stack. */
const CONTROL_BUT_BREAKS = /(?![\n\t])[\p{Cc}\u2028\u2029]/gu;

const escaped = (control: string): string => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** A text without secrets that can be told by their shape, at most so many characters long. */
function withoutSecrets(text: string, most: number): string {
  let clean = text.length > most ? `${text.slice(0, most)}…` : text;
  for (const [pattern, instead] of IN_TEXT) clean = clean.replace(pattern, instead);
  return clean;
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
  return Object.fromEntries(entries.map(([name, each]) => [cleanLine(name), cleanValue(each, depth + 1)]));
}
