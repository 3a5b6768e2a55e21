/** The variables that hold secrets, or may: never repeated in a message, nor logged. */
export const SECRET_VARIABLES = [
  'TOKEN_SECRET',
  'FACTOR_SECRET',
  'DATABASE_URL',
  'DATABASE_DIRECT_URL',
  'READ_DATABASE_URL',
  'REDIS_URL',
  'SMTP_URL',
  'OTEL_EXPORTER_OTLP_HEADERS',
] as const;
