import { Injectable } from '@nestjs/common';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { AgentDevices, type RefreshedDevice } from '../agents/agent-devices.js';
import type { ClientInfo } from '../common/client-info.js';
import type { FormParameters } from '../common/form-body.js';
import { newId } from '../common/identifiers.js';
import { ValidationFailed } from '../common/problem.js';
import { isScope } from '../common/scopes.js';
import { assign, validated } from '../common/validation.pipe.js';
import { AtriumConfig } from '../config/config.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { ClientAuthentication, type OAuthRequest } from './client-authentication.js';
import { ApproveDeviceRequest, type DeviceAuthorizationResponse, shownCode } from './devices.dto.js';
import { BEGIN, POLL } from './devices.sql.js';
import { OAuthError } from './oauth-error.js';

/** Without vowels, so that no word comes out, and without what looks alike (RFC 8628, section 6.1): 34 bits of them. */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ';
const LENGTH = 8;
const LIFETIME_SECONDS = 600;
const INTERVAL_SECONDS = 5;
const ATTEMPTS = 3;
const MAX_SCOPES = 64;

interface PollRow {
  status: 'pending' | 'approved' | 'denied' | 'used';
  expired: 't' | 'f';
  too_fast: 't' | 'f';
  credential_id: string | null;
}

/** The machine's side of the device flow (RFC 8628). */
@Injectable()
export class DeviceCodes {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly clients: ClientAuthentication,
    private readonly devices: AgentDevices,
    private readonly config: AtriumConfig,
  ) {}

  /** Gives a machine its codes. @throws {OAuthError} */
  async begin(request: OAuthRequest, client: ClientInfo): Promise<DeviceAuthorizationResponse> {
    await this.clients.requireDevice(request);
    const { form } = request;
    const scopes = scopesOf(form);
    const { name, kind } = describedBy(form);
    const deviceCode = randomBytes(32).toString('base64url');
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const userCode = Array.from({ length: LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join('');
      const begun = await this.statements.run(BEGIN, [
        newId(),
        hashOf(deviceCode),
        userCode,
        name,
        kind,
        scopes,
        client.address,
        INTERVAL_SECONDS,
        LIFETIME_SECONDS,
      ]);
      if (begun.length > 0) return this.answer(deviceCode, shownCode(userCode), request.host);
    }
    throw new Error('No free user code was found');
  }

  /**
   * What a machine is told that asks whether it was approved.
   * @throws {OAuthError} `authorization_pending`, `slow_down`, `access_denied`, `expired_token`, `invalid_grant`
   */
  async poll(request: OAuthRequest): Promise<RefreshedDevice> {
    await this.clients.requireDevice(request);
    const deviceCode = request.form.get('device_code');
    if (deviceCode === undefined) throw new OAuthError('invalid_request', 'device_code is missing');
    const [row] = await this.statements.run<PollRow>(POLL, [hashOf(deviceCode)]);
    if (!row || row.status === 'used')
      throw new OAuthError('invalid_grant', 'The device code is unknown, or was used');
    if (row.expired === 't')
      throw new OAuthError('expired_token', 'The device code has expired: begin again');
    if (row.status === 'denied') throw new OAuthError('access_denied', 'The person said no');
    if (row.status === 'pending') {
      if (row.too_fast === 't')
        throw new OAuthError('slow_down', 'Too fast: wait 5 seconds longer between two polls from now on');
      throw new OAuthError('authorization_pending', 'Nobody has approved the code yet');
    }
    const device = await this.devices.begin(row.credential_id ?? '');
    if (!device) throw new OAuthError('invalid_grant', 'The agent was disabled or deleted meanwhile');
    return device;
  }

  private answer(
    deviceCode: string,
    userCode: string,
    host: string | undefined,
  ): DeviceAuthorizationResponse {
    const address = `${this.config.issuerFor(host)}/device`;
    return {
      device_code: deviceCode,
      user_code: userCode,
      verification_uri: address,
      verification_uri_complete: `${address}?user_code=${userCode}`,
      expires_in: LIFETIME_SECONDS,
      interval: INTERVAL_SECONDS,
    };
  }
}

const hashOf = (code: string): string => createHash('sha256').update(code).digest('hex');

/** @throws {OAuthError} `invalid_scope` */
function scopesOf(form: FormParameters): string[] {
  const scopes = [...new Set((form.get('scope') ?? '').split(' ').filter(Boolean))];
  if (scopes.length > MAX_SCOPES || !scopes.every(isScope))
    throw new OAuthError('invalid_scope', 'There are no such scopes');
  return scopes;
}

/** What the machine says of itself. @throws {OAuthError} `invalid_request` */
function describedBy(form: FormParameters): { name: string; kind: string } {
  const described = {
    name: form.get('agent_name') ?? 'A device',
    kind: form.get('agent_kind') ?? 'device',
  };
  try {
    validated(assign(ApproveDeviceRequest, described));
    return described;
  } catch (error) {
    if (!(error instanceof ValidationFailed)) throw error;
    throw new OAuthError('invalid_request', 'agent_name or agent_kind is not what an agent may be called');
  }
}
