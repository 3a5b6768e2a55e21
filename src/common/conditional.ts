import { applyDecorators, createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader, ApiNotModifiedResponse } from '@nestjs/swagger';
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

/** One element of a list of entity tags, or an empty one, which RFC 9110, section 5.6.1.2, wants ignored. */
const LIST_ELEMENT = /[ \t]*(?:(W\/)?"([\x21\x23-\x7e\x80-\xff]*)")?[ \t]*(?:,|$)/y;
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
  const tags = readTags(header);
  return tags === '*' || (tags?.some(({ value }) => value === String(version)) ?? false);
}

interface EntityTag {
  readonly weak: boolean;
  readonly value: string;
}

function parseTags(name: string, header: string | undefined): '*' | EntityTag[] | undefined {
  if (header === undefined) return undefined;
  const tags = readTags(header);
  if (!tags) throw new InvalidCondition(name);
  return tags;
}

/** @returns `undefined` for what is no list of tags, or one that names none or too many */
function readTags(header: string): '*' | EntityTag[] | undefined {
  if (header.trim() === '*') return '*';
  const tags: EntityTag[] = [];
  let elements = 0;
  for (let at = 0; at < header.length; at = LIST_ELEMENT.lastIndex) {
    LIST_ELEMENT.lastIndex = at;
    const match = LIST_ELEMENT.exec(header);
    if (!match || ++elements > MAX_TAGS) return undefined;
    if ((match[2] as string | undefined) !== undefined)
      tags.push({ weak: (match[1] as string | undefined) !== undefined, value: match[2] });
  }
  return tags.length > 0 ? tags : undefined;
}

/** The request's `If-Match`, read; `undefined` without one. */
export const IfMatch = createParamDecorator((_: unknown, context: ExecutionContext) =>
  parseIfMatch(context.switchToHttp().getRequest<Request>().headers['if-match']),
);

/** Says of a route that it answers with a version, so that whoever has it already is answered 304. */
export const AnswersIfChanged = (): MethodDecorator =>
  applyDecorators(
    ApiHeader({
      name: 'If-None-Match',
      required: false,
      description: 'An ETag that you have; 304 if it is current.',
    }),
    ApiNotModifiedResponse(),
  );
