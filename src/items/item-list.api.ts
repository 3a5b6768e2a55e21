import { applyDecorators } from '@nestjs/common';
import { ApiQuery } from '@nestjs/swagger';

const parameter = (name: string, description: string, schema: object = { type: 'string' }): MethodDecorator =>
  ApiQuery({ name, description, required: false, schema });

/** The parameters by which items are chosen, for OpenAPI: `filter[…]` has no class of its own. */
export const ApiItemSelection = (): MethodDecorator =>
  applyDecorators(
    parameter('workspaceId', "The caller's personal workspace when left out.", {
      type: 'string',
      format: 'uuid',
    }),
    ApiQuery({
      name: 'filter',
      description:
        'filter[path]=value or filter[path][operator]=value; alternatives as filter[or][0][path][operator]=value.',
      required: false,
      style: 'deepObject',
      explode: true,
      schema: { type: 'object', additionalProperties: true },
    }),
    parameter('q', 'Full text to look for: "as a phrase" this or that -notthis.'),
    parameter(
      'sort',
      'Keys of the order, - for descending: -updatedAt,title,data.priority. Newest first when left out.',
    ),
    parameter('fields', 'The members to answer with: id,title. All when left out.'),
  );

/** The parameters of the list of items, for OpenAPI. */
export const ApiItemListQuery = (): MethodDecorator =>
  applyDecorators(
    ApiItemSelection(),
    parameter('count', 'Whether to answer with a total, and how exact.', {
      type: 'string',
      enum: ['exact', 'estimated'],
    }),
    parameter('limit', 'How many records at most.', {
      type: 'integer',
      minimum: 1,
      maximum: 100,
      default: 20,
    }),
    parameter('cursor', 'The nextCursor or prevCursor of a page of the same list.'),
  );
