import { list, type MessageKinds, object, text } from '../rooms/socket-messages.js';

const ID = { type: 'string', format: 'uuid' };
const TIME = { type: 'string', format: 'date-time' };
const TTL = { type: 'integer', minimum: 1, maximum: 3_600 };

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
  ],
  server: [
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
