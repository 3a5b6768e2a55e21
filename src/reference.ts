import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { ProblemBody } from './common/problem.dto.js';
import { AGENT_MESSAGES } from './leases/agent-messages.js';
import { asyncApiDocument } from './rooms/asyncapi.js';
import { asyncApiPage } from './rooms/asyncapi-page.js';
import { type MessageKinds, ROOM_MESSAGES } from './rooms/socket-messages.js';

/** The OpenAPI 3.1 document of every route. */
export function openApiDocument(app: NestExpressApplication): OpenAPIObject {
  const description = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Atrium')
    .setDescription('The live backend for apps where people and agents work on the same data.')
    .setVersion('1')
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'JWT' })
    .build();
  const document = SwaggerModule.createDocument(app, description, { extraModels: [ProblemBody] });
  for (const path of Object.values(document.paths)) {
    for (const operation of [path.get, path.head, path.post, path.put, path.patch, path.delete])
      if (operation) operation.responses['default'] ??= PROBLEM_RESPONSE;
    if (path.post?.security) (path.post.parameters ??= []).push(IDEMPOTENCY_KEY);
  }
  return document;
}

const PROBLEM_RESPONSE = {
  description: 'Anything else: a problem (RFC 9457).',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/ProblemBody' } } },
};

/** On every POST of somebody who is signed in. */
const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'A repeat under the same key within 24 hours is answered as the first was, and does nothing.',
  schema: { type: 'string', minLength: 1, maxLength: 257 },
} as const;

const SOCKET_MESSAGES: MessageKinds = {
  client: [...ROOM_MESSAGES.client, ...AGENT_MESSAGES.client],
  server: [...ROOM_MESSAGES.server, ...AGENT_MESSAGES.server],
};

/**
 * Serves the requests at `/openapi.json` with a readable page at `/docs`, and the socket protocol at `/asyncapi.json`
 * with one at `/docs/rooms`.
 */
export function serveReference(app: NestExpressApplication): void {
  const routes = app.getHttpAdapter().getInstance();
  const page = asyncApiPage(SOCKET_MESSAGES);
  const document = asyncApiDocument(SOCKET_MESSAGES);
  routes.get('/docs/rooms', (_, response) => void response.type('html').send(page));
  routes.get('/asyncapi.json', (_, response) => void response.json(document));
  SwaggerModule.setup('docs', app, () => openApiDocument(app), {
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
    customSiteTitle: 'Atrium reference',
    swaggerOptions: { persistAuthorization: true, tryItOutEnabled: true },
  });
}
