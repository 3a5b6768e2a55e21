import {
  DEVELOPMENT_PUBLIC_URL,
  DEVELOPMENT_SECRET,
  DEVELOPMENT_SENDER,
  LEAST_HASH_MEMORY_KIB,
  type Environment,
} from './environment.js';

/**
 * What is convenient on a laptop and dangerous on the internet.
 * @returns one line per setting that production refuses, each with the mend
 */
export function unsafeInProduction(environment: Environment): string[] {
  const problems: string[] = [];
  if (!environment.DATABASE_URL)
    problems.push('DATABASE_URL must be set in production: the embedded PostgreSQL is for development only');
  if (environment.TOKEN_SECRET === DEVELOPMENT_SECRET)
    problems.push(
      'TOKEN_SECRET must be set in production to a secret of your own: openssl rand -base64 48 makes one',
    );
  if (environment.PASSWORD_HASH_MEMORY_KIB < LEAST_HASH_MEMORY_KIB)
    problems.push(`PASSWORD_HASH_MEMORY_KIB must be at least ${LEAST_HASH_MEMORY_KIB} in production`);
  if (!environment.RATE_LIMIT)
    problems.push('RATE_LIMIT must be on in production: raise RATE_LIMIT_PER_MINUTE instead');
  if (environment.CORS_ORIGINS.includes('*'))
    problems.push('CORS_ORIGINS must not be * in production: list the origins of your web apps');
  if (environment.SMTP_URL) problems.push(...unfitForMail(environment));
  else if (environment.REGISTRATION_CONFIRMATION === 'email')
    problems.push(
      'SMTP_URL must be set in production when REGISTRATION_CONFIRMATION=email: nobody could register',
    );
  if (environment.OAUTH_PROVIDERS_FILE) problems.push(...unfitForProviders(environment));
  return problems;
}

/** Over which addresses a sign-in must not travel. */
function unfitForProviders({ PUBLIC_URL, OAUTH_RETURN_URLS }: Environment): string[] {
  const problems: string[] = [];
  if (!PUBLIC_URL.startsWith('https://'))
    problems.push('PUBLIC_URL must be https:// in production: providers send people back to it');
  if (OAUTH_RETURN_URLS.some((address) => /^http:\/\/(?!(localhost|127\.0\.0\.1|\[::1\])[:/])/.test(address)))
    problems.push('OAUTH_RETURN_URLS must be https:// in production, but for this machine');
  return problems;
}

/** What must not stand in a mail to real people. */
function unfitForMail({ PUBLIC_URL, MAIL_FROM }: Environment): string[] {
  const problems: string[] = [];
  if (!/^(https:\/\/|http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(\/|$))/.test(PUBLIC_URL))
    problems.push('PUBLIC_URL must be https:// in production: links that reset passwords begin with it');
  else if (PUBLIC_URL === DEVELOPMENT_PUBLIC_URL)
    problems.push('PUBLIC_URL must be set in production when SMTP_URL is: links in mails begin with it');
  if (MAIL_FROM === DEVELOPMENT_SENDER)
    problems.push('MAIL_FROM must be set in production when SMTP_URL is: your own address sends the mails');
  return problems;
}
