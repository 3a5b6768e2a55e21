import { type AgentAnswer, postForm, type TokenAnswer } from './agents.js';
import type { TestApp } from './app.js';
import type { Answer } from './http.js';
import type { Person } from './people.js';

export const DEVICE = 'atrium-device';
export const GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

/** What a device is given to show (RFC 8628, section 3.2). */
export interface Codes {
  readonly device_code: string;
  readonly user_code: string;
  readonly verification_uri: string;
  readonly verification_uri_complete: string;
  readonly expires_in: number;
  readonly interval: number;
}

type Form = Readonly<Record<string, string>>;

/** Devices that ask to become agents, and the person who approves them. */
export class Devices {
  constructor(
    private readonly app: TestApp,
    private readonly owner: Person,
  ) {}

  readonly begin = async (form: Form = {}): Promise<Codes> =>
    (await postForm<Codes>(this.app, '/oauth/device_authorization', { client_id: DEVICE, ...form })).body;

  readonly poll = ({ device_code }: Codes, at: { url: string } = this.app) =>
    postForm(at, '/oauth/token', { grant_type: GRANT, client_id: DEVICE, device_code });

  readonly approve = (
    { user_code }: Codes,
    body: object = {},
    by: Person = this.owner,
  ): Promise<Answer<AgentAnswer>> => by.http.post<AgentAnswer>(`/v1/devices/${user_code}/approve`, body);

  readonly refresh = (refresh_token: string, more: Form = {}) =>
    postForm(this.app, '/oauth/token', {
      grant_type: 'refresh_token',
      client_id: DEVICE,
      refresh_token,
      ...more,
    });

  /** As if the device had waited. */
  readonly wait = (codes: Codes) =>
    this.app.sql(
      `UPDATE device_authorizations SET polled_at = now() - interval '1 minute' WHERE user_code = $1`,
      [codes.user_code.replace('-', '')],
    );

  /** One that was approved, with its tokens. */
  readonly connected = async (
    scope = 'items:read',
  ): Promise<{ agent: AgentAnswer; tokens: TokenAnswer & { refresh_token: string } }> => {
    const codes = await this.begin({ scope });
    const { body: agent } = await this.approve(codes);
    const { body } = await this.poll(codes);
    return { agent, tokens: { ...body, refresh_token: body.refresh_token ?? '' } };
  };
}
