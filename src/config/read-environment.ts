import { plainToInstance } from 'class-transformer';
import { getMetadataStorage, validateSync } from 'class-validator';
import { ConfigurationError } from './configuration-error.js';
import { Environment } from './environment.js';
import { unsafeInProduction } from './production-rules.js';
import { SECRET_VARIABLES } from './secret-variables.js';

/** Never repeated in a message. */
const SECRETS = new Set<string>(SECRET_VARIABLES);

/** Every property of `Environment`: each has a rule, and those without a default show by nothing else. */
const NAMES = new Set(
  getMetadataStorage()
    .getTargetValidationMetadatas(Environment, '', false, false)
    .map(({ propertyName }) => propertyName),
);

/** Where an address must not hold a password, it may still be given with one. */
const shownOf = (value: string | undefined): string | undefined =>
  value?.replaceAll(/(:\/\/)[^\s]*@/g, '$1…@');

/**
 * Reads and validates the variables. An empty string counts as not set, as `.env` files leave it.
 * @throws {ConfigurationError} naming every wrong variable at once
 */
export function readEnvironment(source: Readonly<Record<string, string | undefined>>): Environment {
  const set = Object.fromEntries(
    [...NAMES]
      .map((name) => [name, source[name]] as const)
      .filter(([, value]) => value !== undefined && value !== ''),
  );
  const environment = plainToInstance(Environment, set, { exposeDefaultValues: true });
  const problems = validateSync(environment).map((error) => {
    const shown = SECRETS.has(error.property)
      ? ''
      : ` (it is ${JSON.stringify(shownOf(set[error.property]))})`;
    // Decorators apply from the bottom up: the last message is that of the first, the most basic rule.
    return `${error.property} ${Object.values(error.constraints ?? {}).at(-1) ?? 'is wrong'}${shown}`;
  });
  if (environment.NODE_ENV === 'production') problems.push(...unsafeInProduction(environment));
  if (problems.length > 0) throw new ConfigurationError(problems);
  // Clients of the token server compare its address with the one that they called.
  if (!('PUBLIC_URL' in set) && environment.PORT > 0)
    environment.PUBLIC_URL = `http://localhost:${environment.PORT}`;
  return environment;
}
