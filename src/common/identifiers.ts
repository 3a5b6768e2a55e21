import { type ArgumentMetadata, Injectable, type PipeTransform } from '@nestjs/common';
import { v7 } from 'uuid';
import { ValidationFailed } from './problem.js';

/** A new UUIDv7 (RFC 9562): sorts by creation time, so it serves as keyset and keeps indexes compact. */
export const newId = (): string => v7();

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether the text is a UUID in its canonical lower-case form. */
export const isId = (text: string): boolean => UUID.test(text);

/** Takes an id from the path, in any case, and gives it in the canonical one. */
@Injectable()
export class IdPipe implements PipeTransform<string, string> {
  transform(value: string, { data = 'id' }: ArgumentMetadata): string {
    const id = value.toLowerCase();
    if (!isId(id)) throw new ValidationFailed([{ pointer: `/${data}`, detail: 'must be a UUID' }]);
    return id;
  }
}
