import { ValidateBy, type ValidationOptions } from 'class-validator';

const areDistinct = (value: unknown): boolean =>
  Array.isArray(value) && new Set<unknown>(value).size === value.length;

/**
 * A list in which nothing stands twice. class-validator's own `ArrayUnique` compares each with each, also of a list that
 * is too long: one of a megabyte would stop the process for half a minute.
 */
export const AreDistinct = (options: ValidationOptions): PropertyDecorator =>
  ValidateBy({ name: 'distinct', validator: { validate: areDistinct } }, options);
