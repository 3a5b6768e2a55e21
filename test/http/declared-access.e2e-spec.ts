import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Module } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from '../../src/app.module.js';
import { createApplication } from '../../src/application.js';
import { Authenticated, Public } from '../../src/common/access.js';
import { loadConfig } from '../../src/config/config.js';
import { testVariables, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { registerUser } from '../support/people.js';
import { routesOf, servedPaths } from '../support/routes.js';
import { sharedAtrium } from '../support/shared-app.js';

let app: TestApp;
beforeAll(async () => void (app = await sharedAtrium()));
afterAll(() => app.stop());

/** The reference, for everybody to read (`src/reference.ts`); everything else is some controller's. */
const REFERENCE = /^GET \/(docs(\/.*)?|openapi\.json|asyncapi\.json)$/;

describe('Every route', () => {
  it('declares who may call it', () => {
    const routes = routesOf(app.nest);
    expect(routes.length).toBeGreaterThan(10);
    expect(routes.filter(({ access }) => access === undefined).map(({ handler }) => handler)).toEqual([]);
  });

  it('is known to this inventory: nothing is served that no controller declares', () => {
    const declared = new Set(routesOf(app.nest).map(({ method, path }) => `${method} ${path}`));
    const others = servedPaths(app.nest).filter((served) => !declared.has(served) && !REFERENCE.test(served));
    expect(others).toEqual([]);
    expect([...declared].filter((route) => !servedPaths(app.nest).includes(route))).toEqual([]);
  });

  it('that is not public answers 401 without a token, whatever else is wrong', async () => {
    const closed = routesOf(app.nest).filter(({ access }) => access !== 'public');
    expect(closed.length).toBeGreaterThan(5);
    for (const { method, path } of closed) {
      const answer = await http(app).call(method, path.replaceAll(/:\w+/g, randomUUID()));
      expect([method, path, answer.status]).toEqual([method, path, 401]);
      expect(answer.headers.get('content-type')).toMatch('application/problem+json');
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
    }
  });
});

@Controller('undeclared')
class UndeclaredController {
  @Get()
  forgotten(): string {
    return 'secret';
  }

  @Get('public')
  @Public()
  open(): string {
    return 'open';
  }
}

@Controller('declared')
@Authenticated()
class DeclaredController {
  @Get()
  inherits(): string {
    return 'for those who are logged in';
  }

  @Get('public')
  @Public()
  overrides(): string {
    return 'open';
  }
}

describe('A route that forgets to declare', () => {
  let nest: NestExpressApplication;
  let url: string;
  beforeAll(async () => {
    const config = loadConfig(testVariables(app.databaseUrl));
    @Module({
      imports: [AppModule.register(config)],
      controllers: [UndeclaredController, DeclaredController],
    })
    class WithMore {}
    nest = await createApplication(config, { module: WithMore });
    await nest.listen(0, '127.0.0.1');
    const { port } = nest.getHttpServer().address() as AddressInfo;
    url = `http://127.0.0.1:${port}`;
  });
  afterAll(() => nest.close());

  it('is closed to everybody, logged in or not', async () => {
    const { token } = await registerUser(app);
    for (const client of [http({ url }), http({ url }, token)]) {
      const answer = await client.get('/undeclared');
      expect(answer.status).toBe(403);
      expect(answer.text).not.toContain('secret');
    }
  });

  it('is found by the inventory', () => {
    const found = routesOf(nest).filter(({ access }) => access === undefined);
    expect(found).toMatchObject([
      {
        path: '/undeclared',
        access: undefined,
        agents: undefined,
        handler: 'UndeclaredController.forgotten',
      },
    ]);
  });

  it('leaves those that declare alone: a handler speaks louder than its class', async () => {
    const { token } = await registerUser(app);
    const status = async (path: string, by?: string) => (await http({ url }, by).get(path)).status;
    expect(await status('/undeclared/public')).toBe(200);
    expect(await status('/declared/public')).toBe(200);
    expect(await status('/declared')).toBe(401);
    expect(await status('/declared', token)).toBe(200);
  });
});
