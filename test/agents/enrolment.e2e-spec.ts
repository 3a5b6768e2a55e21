import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type CreatedAgentAnswer, clientCredentials } from '../support/agents.js';
import type { TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { addMember, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
import { createWorkspace } from '../support/workspaces.js';

interface EnrolmentTokenAnswer {
  readonly id: string;
  readonly workspaceId: string;
  readonly uses: number;
  readonly maxUses: number;
  readonly token: string;
}

let app: TestApp;
let [owner, admin]: Person[] = [];
let workspaceId: string;
beforeAll(async () => {
  app = await sharedAtrium();
  [owner, admin] = [await registerUser(app), await registerUser(app)];
  ({ id: workspaceId } = await createWorkspace(owner));
  await addMember(app, workspaceId, admin, 'admin');
});
afterAll(() => app.stop());

const TOKENS = '/v1/agents/enrolment-tokens';
async function issue(input: object = {}, by = owner): Promise<EnrolmentTokenAnswer> {
  const request = { kind: 'press', labels: { region: 'eu' }, scopes: ['items:read'], workspaceId, ...input };
  const { status, body, headers, text } = await by.http.post<EnrolmentTokenAnswer>(TOKENS, request);
  if (status !== 201) throw new Error(`answered ${status}: ${text}`);
  expect(headers.get('cache-control')).toBe('no-store');
  return body;
}
const enrol = (token: string, input: object = {}) =>
  http(app).post<CreatedAgentAnswer>('/v1/agents/enrol', { token, name: 'Press', ...input });
const open = async () =>
  (await owner.http.get<PageAnswer<EnrolmentTokenAnswer>>(`${TOKENS}?workspaceId=${workspaceId}`)).body.data;

describe('An enrolment token', () => {
  it('makes a machine an agent of its workspace, kind, labels and scopes, with a secret of its own', async () => {
    const { token, id } = await issue();
    expect(token).toMatch(/^ate_[\w-]{43}$/);
    const { status, headers, body } = await enrol(token, { metadata: { serial: 7 }, capabilities: ['a3'] });
    expect([status, headers.get('cache-control')]).toEqual([201, 'no-store']);
    expect(body).toMatchObject({
      workspaceId,
      name: 'Press',
      kind: 'press',
      labels: { region: 'eu' },
      scopes: ['items:read'],
      metadata: { serial: 7 },
      capabilities: ['a3'],
      createdBy: owner.user.id,
    });
    const { body: tokens } = await clientCredentials(app, body);
    expect((await http(app, tokens.access_token).get('/v1/items')).status).toBe(200);
    expect((await open()).map((each) => each.id)).not.toContain(id);
    const rows = await app.sql<{ text: string }>(
      `SELECT string_agg(a::text, '') || (SELECT string_agg(t::text, '') FROM agent_enrolment_tokens t) AS text
       FROM audit_entries a`,
    );
    expect(rows[0]?.text).not.toContain(token);
  });

  it('brings a public key in the place of a secret', async () => {
    const { token } = await issue();
    const publicKey = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
    const { body } = await enrol(token, { publicKey });
    expect(body.clientSecret).toBeUndefined();
    const { body: credentials } = await owner.http.get<PageAnswer<{ kind: string }>>(
      `/v1/agents/${body.id}/secrets`,
    );
    expect(credentials.data.map(({ kind }) => kind)).toEqual(['key']);
  });

  it('lets the machine choose neither what it is nor what it may do', async () => {
    const { token } = await issue();
    for (const input of [{ kind: 'boss' }, { scopes: ['items:write'] }, { labels: {} }, { workspaceId }])
      expect((await enrol(token, input)).status).toBe(400);
    expect((await enrol(token)).status).toBe(201);
  });

  it('is good as often as it says, also for many at once', async () => {
    const { token } = await issue({ maxUses: 3 });
    const answers = await Promise.all(Array.from({ length: 10 }, () => enrol(token)));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([201, 201, 201, 401, 401, 401, 401, 401, 401, 401]);
    expect(new Set(answers.filter(({ status }) => status === 201).map(({ body }) => body.id)).size).toBe(3);
  });

  it('is good until it ends, is withdrawn, or its maker may not manage agents any more', async () => {
    const refused = async (token: string) => {
      const { status, body } = await http(app).post('/v1/agents/enrol', { token, name: 'x' });
      expect([status, body.code]).toEqual([401, 'invalid_enrolment_token']);
    };
    const late = await issue();
    await app.sql(`UPDATE agent_enrolment_tokens SET expires_at = now() WHERE id = $1`, [late.id]);
    await refused(late.token);
    const withdrawn = await issue();
    expect((await owner.http.delete(`${TOKENS}/${withdrawn.id}`)).status).toBe(204);
    expect((await owner.http.delete(`${TOKENS}/${withdrawn.id}`)).status).toBe(404);
    await refused(withdrawn.token);
    const demoted = await issue({}, admin);
    await owner.http.patch(`/v1/workspaces/${workspaceId}/members/${admin.user.id}`, { role: 'member' });
    await refused(demoted.token);
    await refused('ate_nonsense');
  });

  it('is made, seen and withdrawn by those who manage agents', async () => {
    const [member, stranger] = [await registerUser(app), await registerUser(app)];
    await addMember(app, workspaceId, member, 'member');
    const { id } = await issue({ maxUses: 5 });
    expect((await open()).find((each) => each.id === id)).toMatchObject({ uses: 0, maxUses: 5 });
    expect(JSON.stringify(await open())).not.toContain('ate_');
    for (const [person, status] of [
      [member, 403],
      [stranger, 404],
    ] as const) {
      const tried = [
        await person.http.post(TOKENS, { kind: 'x', workspaceId }),
        await person.http.get(`${TOKENS}?workspaceId=${workspaceId}`),
        await person.http.delete(`${TOKENS}/${id}`),
      ];
      expect(tried.map((answer) => answer.status)).toEqual([status, status, status]);
    }
  });
});
