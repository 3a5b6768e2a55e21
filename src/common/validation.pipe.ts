import { type ArgumentMetadata, Injectable, type PipeTransform } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { pointerTo } from './json.js';
import { type InputError, ValidationFailed } from './problem.js';

type Dto = new () => object;

const UNKNOWN = 'is not a property of this request';
const BUILT_IN: readonly unknown[] = [String, Number, Boolean, Array, Object, undefined];

/**
 * Checks bodies and queries against their DTO class. Unknown properties are refused, each with a pointer.
 *
 * A body becomes an instance by plain assignment: documents in it (`data`) pass through as they are, neither
 * copied nor converted. A query, whose values are all text, is converted by its `@Type` decorators.
 */
@Injectable()
export class ValidationPipe implements PipeTransform {
  transform(value: unknown, { type, metatype }: ArgumentMetadata): unknown {
    if ((type !== 'body' && type !== 'query') || BUILT_IN.includes(metatype)) return value;
    const dto = metatype as Dto;
    // Without a body, each missing field is named.
    const given = value === undefined ? {} : value;
    return validated(type === 'body' ? assign(dto, given) : convert(dto, given as object));
  }
}

/**
 * Checks an instance of a DTO.
 * @param at where in the body it stands, as a JSON Pointer
 * @throws {ValidationFailed} with every wrong field
 */
export function validated<T extends object>(instance: T, at = ''): T {
  const errors = validateSync(instance, { whitelist: true, forbidNonWhitelisted: true });
  if (errors.length > 0) throw new ValidationFailed(errors.flatMap((error) => inputErrors(error, at)));
  return instance;
}

/**
 * Makes an instance of a DTO from a JSON object.
 * @param at where in the body it stands, as a JSON Pointer
 * @throws {ValidationFailed} if it is anything else
 */
export function assign<T extends object>(dto: new () => T, value: unknown, at = ''): T {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ValidationFailed([{ pointer: at, detail: 'must be a JSON object' }]);
  refuseInherited(value, at);
  return Object.assign(new dto(), value);
}

function convert<T extends object>(dto: new () => T, query: object): T {
  refuseInherited(query);
  return plainToInstance(dto, query);
}

/** What every object inherits: the validator looks there for an object's class and rules, and takes these for known. */
export function refuseInherited(value: object, at = ''): void {
  const found = Object.keys(value).filter((name) => name in Object.prototype);
  if (found.length > 0)
    throw new ValidationFailed(found.map((name) => ({ pointer: pointerTo(at, name), detail: UNKNOWN })));
}

function inputErrors(error: ValidationError, parent: string): InputError[] {
  const pointer = pointerTo(parent, error.property);
  const details = Object.entries(error.constraints ?? {}).map(([rule, message]) =>
    rule === 'whitelistValidation'
      ? 'is not a property of this request'
      : withoutName(message, error.property),
  );
  // Several rules may share one message that says all.
  const own = [...new Set(details)].map((detail) => ({ pointer, detail }));
  return [...own, ...(error.children ?? []).flatMap((child) => inputErrors(child, pointer))];
}

/** class-validator starts its messages with the property's name, which the pointer says already. */
function withoutName(message: string, name: string): string {
  return message.startsWith(`${name} `) ? message.slice(name.length + 1) : message;
}
