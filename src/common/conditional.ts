import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import { Problem } from './problem.js';

/** What `If-Match` demands: any current version, or one of these. */
export type VersionCondition = '*' | readonly number[];

/** 400 `invalid_condition`: the header is not what RFC 9110 describes. */
export class InvalidCondition extends Problem {
  constructor(header: string) {
    super(400, 'invalid_condition', `${header} must be * or a list of quoted entity tags, such as "3".`);
  }
}

const ENTITY_TAG = /^(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/;
const MAX_TAGS = 50;

/**
 * Reads `If-Match` (RFC 9110, section 13.1.1). The comparison is strong, so a weak tag names no version;
 * nor does a tag that Atrium never gave out.
 * @throws {InvalidCondition}
 */
export function parseIfMatch(header: string | undefined): VersionCondition | undefined {
  const tags = parseTags('If-Match', header);
  if (tags === undefined || tags === '*') return tags;
  return tags.filter((tag) => !tag.weak && /^[1-9]\d{0,8}$/.test(tag.value)).map((tag) => Number(tag.value));
}

/**
 * Whether `If-None-Match` (RFC 9110, section 13.1.2) names this version, by weak comparison.
 * A malformed header is no condition: the answer is then simply whole.
 */
export function matchesNone(header: string, version: number): boolean {
  if (header === `"${version}"`) return true;
  const tags = header.split(',').map((tag) => ENTITY_TAG.exec(tag.trim())?.[2]);
  return header.trim() === '*' || tags.includes(String(version));
}

function parseTags(
  name: string,
  header: string | undefined,
): '*' | { weak: boolean; value: string }[] | undefined {
  if (header === undefined) return undefined;
  if (header.trim() === '*') return '*';
  const parts = header.split(',');
  if (parts.length > MAX_TAGS) throw new InvalidCondition(name);
  return parts.map((part) => {
    const match = ENTITY_TAG.exec(part.trim());
    if (!match) throw new InvalidCondition(name);
    return { weak: match[1] !== undefined, value: match[2] ?? '' };
  });
}

/** The request's `If-Match`, read; `undefined` without one. */
export const IfMatch = createParamDecorator((_: unknown, context: ExecutionContext) =>
  parseIfMatch(context.switchToHttp().getRequest<Request>().headers['if-match']),
);
