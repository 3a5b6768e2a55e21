import { list, type MessageKinds, object, type Schema, text } from '../rooms/socket-messages.js';

const ID = { type: 'string', format: 'uuid' };
const TIME = { type: 'string', format: 'date-time' };
const TTL = { type: 'integer', minimum: 1, maximum: 3_600 };

const range = (bound: Schema): Schema => object({ gte: bound, lte: bound }, []);
const FILTER = object(
  {
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    priority: range({ type: 'integer' }),
    notBefore: range(TIME),
  },
  [],
);

/** What agents say over their sockets and are told there, besides what everybody may. */
export const AGENT_MESSAGES: MessageKinds = {
  client: [
    {
      name: 'heartbeat',
      summary: 'An agent says that it is there, and extends its leases; as POST /v1/agents/{id}/heartbeat.',
      data: object(
        {
          leases: {
            ...list(ID),
            maxItems: 1_000,
            description: 'Those to extend; all that it has when left out.',
          },
          ttlSeconds: { ...TTL, default: 60, description: 'How long they are to last from now on.' },
          leaving: { type: 'boolean', default: false, description: 'Whether it goes.' },
        },
        [],
      ),
      reply: 'heartbeat',
    },
    {
      name: 'lease',
      summary: 'An agent wants leases as soon as there is work, in place of what it wanted before.',
      data: object(
        {
          types: { ...list(text('Of items.')), minItems: 1, maxItems: 20 },
          filter: FILTER,
          ttlSeconds: { ...TTL, default: 60 },
          capacity: {
            type: 'integer',
            minimum: 0,
            maximum: 1_000,
            description: 'How many that came over this socket it may hold at a time; 0: no more of them.',
          },
        },
        ['capacity'],
      ),
      reply: 'leasing',
    },
  ],
  server: [
    {
      name: 'leasing',
      summary: 'Leases follow as `leased`, as soon as there is work.',
      data: object({ capacity: { type: 'integer', minimum: 0 } }),
    },
    {
      name: 'leased',
      summary: 'Leases for the agent; each as POST /v1/leases answers it.',
      unasked: true,
      data: object({
        leases: list(
          object({
            id: ID,
            fence: { type: 'integer', description: 'The version of the item at the claim.' },
            attempt: { type: 'integer', minimum: 1 },
            expiresAt: TIME,
            item: { type: 'object', description: 'As GET /v1/items/{id} answers it.' },
          }),
        ),
      }),
    },
    {
      name: 'lost',
      summary: 'The agent has lost leases and stops working on them.',
      unasked: true,
      data: object({
        leases: list(
          object({
            id: ID,
            itemId: ID,
            reason: text('`expired`, `deleted`, `ended`, or what was said when it was cancelled.'),
          }),
        ),
      }),
    },
    {
      name: 'heartbeat',
      summary: 'The agent was heard.',
      data: object({
        intervalSeconds: { type: 'integer', description: 'When the next is due.' },
        leases: list(object({ id: ID, expiresAt: TIME })),
        lost: { ...list(ID), description: 'Those that it named and does not hold any more.' },
        rotateBy: {
          ...text('RFC 3339: replace the credential before then; null: no need.'),
          type: ['string', 'null'],
        },
      }),
    },
  ],
};
