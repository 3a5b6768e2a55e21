import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Instance, TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { type LoginAnswer, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { until } from '../support/until.js';

let app: TestApp;
let elsewhere: Instance;
beforeAll(async () => {
  app = await sharedAtrium();
  elsewhere = await sharedSecondInstance();
});
afterAll(() => app.stop());

const statusOfMe = async (token: string, at: { url: string } = app) =>
  (await http(at, token).get('/v1/me')).status;
const refresh = async (refreshToken: string, at: { url: string } = app) =>
  (await http(at).post('/v1/auth/refresh', { refreshToken })).status;

describe('Logging out', () => {
  it('ends REST access and the refresh token at once where it happens', async () => {
    const { token, refreshToken } = await registerUser(app);
    expect(await statusOfMe(token)).toBe(200);
    expect((await http(app, token).post('/v1/auth/logout')).status).toBe(204);
    expect(await statusOfMe(token)).toBe(401);
    expect(await refresh(refreshToken)).toBe(401);
  });

  it('ends them soon on another instance that knew the token already', async () => {
    const { token, refreshToken } = await registerUser(app);
    expect(await statusOfMe(token, elsewhere)).toBe(200);
    await http(app, token).post('/v1/auth/logout');
    expect(await refresh(refreshToken, elsewhere)).toBe(401);
    await until('refused elsewhere', async () => (await statusOfMe(token, elsewhere)) === 401);
  });

  it('is not forgotten by an instance that starts later', async () => {
    const { token } = await registerUser(app);
    await http(app, token).post('/v1/auth/logout');
    const later = await app.startSecondInstance();
    expect(await statusOfMe(token, later)).toBe(401);
  });

  it('also ends what a refresh raced out of the session before', async () => {
    const { token, refreshToken } = await registerUser(app);
    const raced = await http(app).post<LoginAnswer>('/v1/auth/refresh', { refreshToken });
    await http(app, token).post('/v1/auth/logout');
    expect(await statusOfMe(raced.body.accessToken)).toBe(401);
    expect(await refresh(raced.body.refreshToken)).toBe(401);
  });

  it('takes the refresh token of a client whose access token has expired', async () => {
    const { token, refreshToken } = await registerUser(app);
    expect((await http(app).post('/v1/auth/logout', { refreshToken })).status).toBe(204);
    expect(await statusOfMe(token)).toBe(401);
    expect(await refresh(refreshToken)).toBe(401);
  });

  it('leaves the other sessions of the account alone', async () => {
    const { token, user, password } = await registerUser(app);
    const other = await http(app).post<LoginAnswer>('/v1/auth/login', { email: user.email, password });
    await http(app, token).post('/v1/auth/logout');
    expect(await statusOfMe(other.body.accessToken)).toBe(200);
    expect(await refresh(other.body.refreshToken)).toBe(200);
  });

  it('a second time is no error', async () => {
    const { token, refreshToken } = await registerUser(app);
    expect((await http(app, token).post('/v1/auth/logout')).status).toBe(204);
    expect((await http(app, token).post('/v1/auth/logout')).status).toBe(204);
    expect((await http(app).post('/v1/auth/logout', { refreshToken })).status).toBe(204);
  });

  it('demands a token that proves whose session it is', async () => {
    expect((await http(app).post('/v1/auth/logout')).status).toBe(401);
    expect((await http(app, 'forged').post('/v1/auth/logout')).status).toBe(401);
    expect((await http(app).post('/v1/auth/logout', { refreshToken: 'atr_forged' })).status).toBe(401);
  });
});
