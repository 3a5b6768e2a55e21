import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { ArrayMaxSize, IsArray, IsIn, IsString, Matches, ValidateBy, ValidateIf } from 'class-validator';
import { AreDistinct } from '../common/distinct.js';
import { isJsonObject, type JsonValue } from '../common/json.js';
import { isScope } from '../common/scopes.js';
import { AGENT_STATUSES } from './agent.entity.js';

const NAME = 'must be a text of 1 to 200 characters on one line';
const KIND = 'must be 1 to 100 letters, digits and characters of . _ : / -';
const CAPABILITIES =
  'must be a list of at most 64 different names of 1 to 100 letters, digits and . _ : / - +';
const SCOPES = 'must be a list of at most 64 different scopes, such as items:read or items:write:type=task';
export const LABELS =
  'must be an object of at most 64 texts of up to 128 letters, digits and . _ : / @ + -, named likewise (1 to 63)';
/** Bytes of JSON that the metadata of an agent may have: every event of the agent carries it. */
export const METADATA_LIMIT_BYTES = 65_536;
const METADATA = `must be a JSON object of at most ${METADATA_LIMIT_BYTES} bytes`;
const MAX_LIST = 64;
const LABEL_NAME = /^[A-Za-z0-9][\w./-]{0,62}$/;
const LABEL_VALUE = /^[\w.:/@+-]{0,128}$/;

/** Names by which agents are found: `{"region": "eu"}`. */
export type Labels = Readonly<Record<string, string>>;

const isLabels = (value: JsonValue): boolean =>
  isJsonObject(value) &&
  Object.keys(value).length <= MAX_LIST &&
  Object.entries(value).every(
    ([name, text]) => LABEL_NAME.test(name) && typeof text === 'string' && LABEL_VALUE.test(text),
  );

const isMetadata = (value: JsonValue): boolean =>
  isJsonObject(value) && Buffer.byteLength(JSON.stringify(value)) <= METADATA_LIMIT_BYTES;

export const IsAgentName = (): PropertyDecorator =>
  applyDecorators(
    Matches(/^(?=.*\S)[^\p{Cc}\p{Zl}\p{Zp}]{1,200}$/u, { message: NAME }),
    IsString({ message: NAME }),
  );
export const IsAgentKind = (): PropertyDecorator =>
  applyDecorators(Matches(/^[A-Za-z0-9][\w.:/-]{0,99}$/, { message: KIND }), IsString({ message: KIND }));
export const AreLabels = (): PropertyDecorator =>
  applyDecorators(
    ValidateBy({
      name: 'labels',
      validator: { validate: isLabels, defaultMessage: () => LABELS },
    }),
    ApiProperty({ type: 'object', additionalProperties: { type: 'string' } }),
  );
export const AreCapabilities = (): PropertyDecorator =>
  applyDecorators(
    IsArray({ message: CAPABILITIES }),
    ArrayMaxSize(MAX_LIST, { message: CAPABILITIES }),
    AreDistinct({ message: CAPABILITIES }),
    Matches(/^[A-Za-z0-9][\w.:/+-]{0,99}$/, { each: true, message: CAPABILITIES }),
  );
export const AreScopes = (): PropertyDecorator =>
  applyDecorators(
    IsArray({ message: SCOPES }),
    ArrayMaxSize(MAX_LIST, { message: SCOPES }),
    AreDistinct({ message: SCOPES }),
    ValidateBy(
      {
        name: 'scope',
        validator: {
          validate: (scope) => typeof scope === 'string' && isScope(scope),
          defaultMessage: () => SCOPES,
        },
      },
      { each: true, message: SCOPES },
    ),
  );
export const IsMetadata = (): PropertyDecorator =>
  applyDecorators(
    ValidateBy({
      name: 'metadata',
      validator: { validate: isMetadata, defaultMessage: () => METADATA },
    }),
    ApiProperty({ type: 'object', additionalProperties: true }),
  );
export const IsStatus = (): PropertyDecorator =>
  applyDecorators(
    IsIn(AGENT_STATUSES, { message: 'must be enabled or disabled' }),
    ApiProperty({ enum: AGENT_STATUSES }),
  );
/** May be left out, but not be null. */
export const MayBeMissing = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined);
