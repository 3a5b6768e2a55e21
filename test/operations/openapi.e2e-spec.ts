import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { type TestApp, testVariables } from '../support/app.js';
import { http } from '../support/http.js';
import { type AtriumProcess, spawnAtrium } from '../support/process.js';
import { type Route, routesOf } from '../support/routes.js';
import { sharedAtrium } from '../support/shared-app.js';

interface Schema {
  readonly $ref?: string;
  readonly oneOf?: Schema[];
  readonly type?: string;
  readonly format?: string;
  readonly properties?: Record<string, Schema>;
  readonly required?: string[];
  readonly items?: Schema;
  readonly additionalProperties?: unknown;
}
interface Operation {
  readonly responses: Record<string, { content?: Record<string, { schema?: Schema }> }>;
  readonly security?: unknown[];
  readonly requestBody?: { content: Record<string, { schema?: Schema }> };
  readonly summary?: string;
  readonly parameters?: { readonly name: string }[];
}
interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { schemas: Record<string, Schema>; securitySchemes: object };
}

let app: TestApp;
/** The build: the schemas of requests and answers are written by a plugin of the compiler. */
let built: AtriumProcess;
let document: Document;
let operations: { route: Route; operation: Operation }[];
beforeAll(async () => {
  app = await sharedAtrium();
  built = await spawnAtrium(testVariables(app.databaseUrl));
  document = (await http({ url: await built.url() }).get<Document>('/openapi.json')).body;
  operations = routesOf(app.nest).map((route) => ({
    route,
    operation: document.paths[route.path.replaceAll(/:(\w+)/g, '{$1}')]?.[route.method.toLowerCase()],
  }));
}, 180_000);
afterAll(async () => {
  await built.kill();
  await app.stop();
});

const failing = (isRight: (operation: Operation, route: Route) => boolean) =>
  operations.filter(({ operation, route }) => !isRight(operation, route)).map(({ route }) => route.handler);

/** The JSON schema of the answer of success; `undefined` when it has no content. */
function success({ responses }: Operation): { status: string; schema: Schema | undefined } | undefined {
  const [status] = Object.keys(responses).filter((code) => /^[23]/.test(code) && code !== '304');
  if (status === undefined) return undefined;
  return { status, schema: responses[status].content?.['application/json']?.schema };
}

const resolve = (schema: Schema | undefined): Schema | undefined =>
  schema?.$ref === undefined ? schema : document.components.schemas[schema.$ref.split('/').at(-1)!];
const hasMembers = (schema: Schema | undefined) => Object.keys(resolve(schema)?.properties ?? {}).length > 0;
/** A document of the caller's own, whose members are nobody else's business. */
const isOpen = (schema: Schema | undefined) => schema?.additionalProperties === true;

describe('/openapi.json', () => {
  it('is a valid OpenAPI 3.1 document', async () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    const result = await new Validator().validate(
      structuredClone(document) as unknown as Record<string, unknown>,
    );
    expect(result).toMatchObject({ valid: true });
  });

  it('knows every route of the application', () => {
    expect(operations.length).toBeGreaterThan(10);
    expect(failing((operation) => (operation as Operation | undefined) !== undefined)).toEqual([]);
  });

  it('says of every route in words what it does', () => {
    expect(failing((operation) => (operation.summary ?? '').length > 5)).toEqual([]);
  });

  it('types what every route answers, member by member', () => {
    expect(
      failing((operation) => {
        const answer = success(operation);
        if (/^(202|204|30\d)$/.test(answer?.status ?? '')) return true; // without content
        // A stream, which goes on; pages.
        const content = operation.responses[answer?.status ?? '']?.content ?? {};
        const lines = content['application/x-ndjson'];
        if (lines) return hasMembers(lines.schema);
        if (Object.keys(content).some((kind) => kind.startsWith('text/'))) return true;
        return (answer?.schema?.oneOf ?? [answer?.schema]).every(hasMembers);
      }),
    ).toEqual([]);
  });

  it('types what every route takes', () => {
    expect(
      failing((operation) =>
        Object.values(operation.requestBody?.content ?? {}).every(({ schema }) =>
          (schema?.oneOf ?? [schema]).every(
            (one) => one?.format === 'binary' || isOpen(one) || hasMembers(one?.items ?? one),
          ),
        ),
      ),
    ).toEqual([]);
  });

  it('gives no schema without members, and every member a type', () => {
    const bare = Object.entries(document.components.schemas).flatMap(([name, { properties = {} }]) => {
      const members = Object.entries(properties);
      const untyped = members.filter(([, schema]) => Object.keys(schema).length === 0);
      return members.length === 0 ? [name] : untyped.map(([property]) => `${name}.${property}`);
    });
    expect(bare).toEqual([]);
    const { JsonPatchStep, ProblemBody } = document.components.schemas;
    expect(Object.keys(JsonPatchStep.properties ?? {}).sort()).toEqual(['from', 'op', 'path', 'value']);
    expect(ProblemBody.required?.toSorted()).toEqual([
      'code',
      'detail',
      'requestId',
      'status',
      'title',
      'type',
    ]);
    const { ItemResponse } = document.components.schemas;
    expect(new Set(Object.keys(ItemResponse.properties ?? {}))).toEqual(
      new Set([
        'id',
        'workspaceId',
        'type',
        'title',
        'data',
        'version',
        'createdAt',
        'createdBy',
        'updatedAt',
        'updatedBy',
      ]),
    );
  });

  it('describes the problem that every route may answer', () => {
    expect(
      failing(
        ({ responses }) =>
          responses['default']?.content?.['application/problem+json']?.schema?.$ref ===
          '#/components/schemas/ProblemBody',
      ),
    ).toEqual([]);
  });

  it('describes the 304 of every GET that takes If-None-Match, which are those that answer one record', () => {
    const conditional = operations.filter(({ operation }) =>
      operation.parameters?.some(({ name }) => name === 'If-None-Match'),
    );
    expect(conditional.map(({ route: { path } }) => path).sort()).toEqual([
      '/v1/agents/:id',
      '/v1/items/:id',
      '/v1/items/:id/history/:version',
      '/v1/items/imports/:id',
      '/v1/me',
      '/v1/rooms/:id',
      '/v1/workspaces/:id',
    ]);
    expect(conditional.every(({ operation }) => '304' in operation.responses)).toBe(true);
  });

  it('demands a bearer token where the route does, and nowhere else', () => {
    const demands = ({ security = [] }: Operation) => security.length > 0;
    expect(failing((operation, { access }) => demands(operation) === (access !== 'public'))).toEqual([]);
    expect(document.components.securitySchemes).toEqual({
      bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
    });
  });
});

describe('/docs', () => {
  it('is a page whose parts are all there', async () => {
    const page = await http(app).get('/docs');
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toMatch('text/html');
    expect(page.text).toContain('<title>Atrium reference</title>');
    const parts = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path);
    expect(parts.length).toBeGreaterThan(2);
    for (const part of parts) {
      const { status } = await http(app).get(new URL(part, `${app.url}/docs`).href);
      expect([part, status]).toEqual([part, 200]);
    }
  });

  it('and the document are not served where API_DOCS is off', async () => {
    const quiet = await app.startSecondInstance({ API_DOCS: 'off' });
    expect((await http(quiet).get('/docs')).status).toBe(404);
    expect((await http(quiet).get('/openapi.json')).status).toBe(404);
  });
});
