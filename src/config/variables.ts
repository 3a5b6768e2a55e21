import { Transform, Type } from 'class-transformer';
import { IsBoolean, IsInt, Max, Min } from 'class-validator';

/** What a number counts, and how far it goes. */
interface WholeNumberRule {
  /** What the variable must be when it is no whole number, such as `milliseconds`. */
  readonly of: string;
  /** Stands behind the bounds in messages; nothing by default. */
  readonly unit?: string;
  readonly min: number;
  readonly max?: number;
}

/** A whole number within bounds. */
export function WholeNumber({ of, unit, min, max }: WholeNumberRule): PropertyDecorator {
  const bound = (value: number) => (unit === undefined ? String(value) : `${value} ${unit}`);
  return inOrder(
    Type(() => Number),
    IsInt({ message: `must be ${of}` }),
    Min(min, { message: `must be at least ${bound(min)}` }),
    ...(max === undefined ? [] : [Max(max, { message: `must be at most ${bound(max)}` })]),
  );
}

/** `on` or `off`, also `true` or `false`. */
export function Switch(): PropertyDecorator {
  const read = ({ value }: { value: unknown }): unknown =>
    value === 'on' || value === 'true' ? true : value === 'off' || value === 'false' ? false : value;
  return inOrder(Transform(read), IsBoolean({ message: 'must be on or off' }));
}

/** A list, its entries separated by commas; spaces around them and empty entries do not count. */
export function CommaSeparated(): PropertyDecorator {
  return Transform(({ value }: { value: unknown }) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((entry) => entry.trim())
          .filter(Boolean)
      : value,
  );
}

/** Decorators as if they stood one above the other: the last one applies first. */
function inOrder(...decorators: readonly PropertyDecorator[]): PropertyDecorator {
  return (target, property) => {
    for (const decorate of decorators.toReversed()) decorate(target, property);
  };
}
