import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import { getMetadataStorage } from 'class-validator';
import { AgentsGateway } from '../../src/leases/agents.gateway.js';
import { HeartbeatRequest } from '../../src/leases/heartbeats.dto.js';
import { LeaseFrame } from '../../src/leases/leases.dto.js';
import { CloseCode } from '../../src/rooms/close-codes.js';
import * as frames from '../../src/rooms/rooms.dto.js';
import { RoomsGateway } from '../../src/rooms/rooms.gateway.js';
import { startAgent } from '../support/agents.js';
import type { TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import type { LeaseAnswer } from '../support/leases.js';
import { addMember, createItem, type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
import { closeSockets, connect, type ServerFrame } from '../support/sockets.js';

interface Message {
  readonly payload: { readonly properties: { readonly data: { required?: string[]; properties?: object } } };
}
interface Document {
  readonly asyncapi: string;
  readonly info: { readonly description: string };
  readonly channels: Record<string, { address: string }>;
  readonly components: { readonly messages: Record<string, Message> };
}

let app: TestApp;
let ada: Person;
let grace: Person;
let document: Document;
const seen: ServerFrame[] = [];
beforeAll(async () => {
  app = await sharedAtrium();
  ada = await registerUser(app);
  grace = await registerUser(app);
  await addMember(app, ada.workspaceId, grace, 'member');
  document = (await http(app).get<Document>('/asyncapi.json')).body;
});
afterEach(closeSockets);
afterAll(() => app.stop());

const schemas = (): Ajv => {
  const ajv = new Ajv({ strict: false, allErrors: true });
  (addFormats as unknown as (ajv: Ajv) => void)(ajv);
  return ajv;
};
const validator = (direction: 'client' | 'server', name: string): ValidateFunction | undefined => {
  const message = document.components.messages[`${direction}.${name}`];
  return message && schemas().compile(message.payload);
};

describe('/asyncapi.json', () => {
  it('is a document of AsyncAPI 3.0, by the schema that its makers publish', () => {
    const path = resolve(
      import.meta.dirname,
      '../../node_modules/@asyncapi/specs/schemas/3.0.0-without-$id.json',
    );
    const validate = schemas().compile(JSON.parse(readFileSync(path, 'utf8')) as object);
    expect(validate(document) ? [] : validate.errors).toEqual([]);
  });

  it('refers to nothing that it does not have', () => {
    const look = (pointer: string) =>
      pointer
        .slice(2)
        .split('/')
        .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document);
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(
      ([, ref]) => ref ?? '',
    );
    expect(references.length).toBeGreaterThan(20);
    expect(references.filter((ref) => look(ref) === undefined)).toEqual([]);
  });

  it('has every frame that the gateways handle, and no other', () => {
    const handled = [RoomsGateway.prototype, AgentsGateway.prototype]
      .flatMap((prototype) => Object.values(Object.getOwnPropertyDescriptors(prototype)))
      .map(({ value }) => value as unknown)
      .map((handler) =>
        typeof handler === 'function' ? (Reflect.getMetadata('message', handler) as unknown) : undefined,
      )
      .filter((message) => typeof message === 'string');
    const documented = Object.keys(document.components.messages).flatMap(
      (key) => /^client\.(.*)/.exec(key)?.[1] ?? [],
    );
    expect(handled.sort()).toEqual(documented.sort());
  });

  it.each([
    ['auth', frames.AuthFrame],
    ['join', frames.JoinFrame],
    ['leave', frames.LeaveFrame],
    ['publish', frames.PublishFrame],
    ['presence', frames.PresenceFrame],
    ['heartbeat', HeartbeatRequest],
    ['lease', LeaseFrame],
  ])('describes %s as it is validated: the same fields, of which the same may be left out', (name, Frame) => {
    const rules = getMetadataStorage().getTargetValidationMetadatas(Frame, '', false, false);
    const fields = [...new Set(rules.map(({ propertyName }) => propertyName))].sort();
    const optional = rules
      .filter(({ type }) => type === 'conditionalValidation')
      .map(({ propertyName }) => propertyName);
    const data = document.components.messages[`client.${name}`]?.payload.properties.data;
    expect(Object.keys(data?.properties ?? {}).sort()).toEqual(fields);
    expect([...(data?.required ?? [])].sort()).toEqual(fields.filter((field) => !optional.includes(field)));
  });

  it('says what every close code means', () => {
    for (const code of Object.values(CloseCode)) expect(document.info.description).toContain(`- ${code}: `);
  });
});

describe('Every frame that the server sends', () => {
  it('is as the document says, field by field', async () => {
    const room = `workspaces/${ada.workspaceId}`;
    const client = await connect(app, { token: ada.token });
    await client.send('auth', { token: ada.token });
    await client.send('join', { room });
    await client.send('join', { room, after: 'elsewhere-1' });
    const guest = await connect(app, { token: grace.token });
    await guest.send('join', { room });
    await guest.send('presence', { room, state: { typing: true } });
    await guest.send('publish', { room, type: 'note.said', data: { text: 'kept' } });
    await guest.send('publish', { room, type: 'note.said', data: 'not kept', durable: false });
    await client.waitFor('presence', () => client.frames.some(({ event }) => event === 'presence'));
    await createItem(ada);
    await client.received(room, 3);
    await client.send('join', { room: 'no room' });
    await client.send('join', { room: `items/${ada.workspaceId}` });
    await client.send('ping');
    await ada.http.delete(`/v1/workspaces/${ada.workspaceId}/members/${grace.user.id}`);
    await guest.waitFor('left', () =>
      guest.frames.some(({ event, data }) => event === 'left' && 'code' in data),
    );
    await client.send('leave', { room });
    const agent = await startAgent(app, ada, ['leases']);
    const machine = await connect(app, { token: agent.token });
    await machine.send('heartbeat');
    await machine.send('lease', { types: ['task'], capacity: 1 });
    await machine.waitFor('work', () => machine.frames.some(({ event }) => event === 'leased'));
    const [{ item }] = machine.frames.find(({ event }) => event === 'leased')?.data['leases'] as [
      LeaseAnswer,
    ];
    await ada.http.delete(`/v1/items/${item.id}`);
    await machine.waitFor('its loss', () => machine.frames.some(({ event }) => event === 'lost'));
    seen.push(...client.frames, ...guest.frames, ...machine.frames);

    for (const frame of seen) {
      const validate = validator('server', frame.event);
      expect([frame.event, validate?.(frame) ? [] : (validate?.errors ?? 'not in the document')]).toEqual([
        frame.event,
        [],
      ]);
    }
    const kinds = Object.keys(document.components.messages).flatMap(
      (key) => /^server\.(.*)/.exec(key)?.[1] ?? [],
    );
    expect([...new Set(seen.map(({ event }) => event))].sort()).toEqual(kinds.sort());
  });
});

describe('/docs/rooms', () => {
  it('is a page for people that names every message', async () => {
    const { status, headers, text } = await http(app).get('/docs/rooms');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^text\/html/);
    for (const key of Object.keys(document.components.messages))
      expect(text).toContain(`<code>${key.replace(/^\w+\./, '')}</code>`);
  });
});
