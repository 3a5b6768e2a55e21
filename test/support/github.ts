import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { stopServer } from './oidc.js';

/** What the API says of the person who signs in next. */
export interface GitHubPerson {
  readonly user: unknown;
  readonly emails: unknown;
}

/** As much of a GitHub Enterprise Server as a sign-in needs; whoever comes is `person`. */
export interface GitHubServer {
  readonly url: string;
  person: GitHubPerson;
  stop(): Promise<void>;
}

export async function startGitHub(): Promise<GitHubServer> {
  const challenges = new Map<string, string>();
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const github: GitHubServer = { url, person: { user: {}, emails: [] }, stop: () => stopServer(server) };
  const token = randomBytes(16).toString('hex');
  const tokens = (body: URLSearchParams): unknown => {
    const code = body.get('code') ?? '';
    const challenge = createHash('sha256')
      .update(body.get('code_verifier') ?? '')
      .digest('base64url');
    const isGood =
      challenges.get(code) === challenge && body.get('client_secret') === 'a secret of the tests';
    challenges.delete(code);
    return isGood
      ? { access_token: token, token_type: 'bearer', scope: 'read:user,user:email' }
      : { error: 'bad_verification_code' }; // with status 200, as GitHub does
  };
  server.on('request', (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', url);
    const json = (body: unknown, status = 200) =>
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    const isKnown = request.headers.authorization === `Bearer ${token}`;
    if (pathname === '/login/oauth/authorize') {
      const code = randomBytes(10).toString('hex');
      challenges.set(code, searchParams.get('code_challenge') ?? '');
      const back = new URL(searchParams.get('redirect_uri') ?? '');
      back.searchParams.set('code', code);
      back.searchParams.set('state', searchParams.get('state') ?? '');
      response.writeHead(302, { Location: back.href }).end();
    } else if (pathname === '/login/oauth/access_token') {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => json(tokens(new URLSearchParams(body))));
    } else if (pathname === '/api/v3/user' && isKnown) json(github.person.user);
    else if (pathname === '/api/v3/user/emails' && isKnown) json(github.person.emails);
    else json({ message: 'Not Found' }, isKnown ? 404 : 401);
  });
  return github;
}
