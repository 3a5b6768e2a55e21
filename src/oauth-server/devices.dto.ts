import { IsUUID } from 'class-validator';
import {
  AreLabels,
  AreScopes,
  IsAgentKind,
  IsAgentName,
  type Labels,
  MayBeMissing,
} from '../agents/agent-rules.js';
import { rfc3339 } from '../common/rfc3339.js';

/** Codes that a machine was given (RFC 8628, section 3.2). */
export class DeviceAuthorizationResponse {
  /** For the machine alone, which polls with it. */
  device_code: string;
  /** For the person to type, `WDJB-MJHT`. */
  user_code: string;
  verification_uri: string;
  /** The same with the code in it. */
  verification_uri_complete: string;
  /** Seconds. */
  expires_in: number;
  /** Seconds between two polls. */
  interval: number;
}

/** A machine that waits for a person to approve it. */
export class DeviceResponse {
  /** `WDJB-MJHT`. */
  userCode: string;
  /** What it calls itself. */
  name: string;
  kind: string;
  /** What it asks to be allowed. */
  scopes: string[];
  /** From which IP address it asked. */
  address: string;
  /** RFC 3339, UTC. */
  createdAt: string;
  /** RFC 3339, UTC. */
  expiresAt: string;
}

/** What the machine becomes. What is left out is as it asked for. */
export class ApproveDeviceRequest {
  /** The caller's personal workspace when left out. */
  @MayBeMissing()
  @IsUUID('all', { message: 'must be a UUID' })
  workspaceId?: string;

  @MayBeMissing()
  @IsAgentName()
  name?: string;

  @MayBeMissing()
  @IsAgentKind()
  kind?: string;

  @MayBeMissing()
  @AreLabels()
  labels?: Labels;

  @MayBeMissing()
  @AreScopes()
  scopes?: string[];
}

/** Every column as PostgreSQL's text. */
export interface DeviceRow {
  user_code: string;
  name: string;
  kind: string;
  scopes: string;
  address: string;
  created_at: string;
  expires_at: string;
}

/** A user code as people read it. */
export const shownCode = (code: string): string => `${code.slice(0, 4)}-${code.slice(4)}`;

export const toDeviceResponse = (row: DeviceRow): DeviceResponse => ({
  userCode: shownCode(row.user_code),
  name: row.name,
  kind: row.kind,
  scopes: JSON.parse(row.scopes) as string[],
  address: row.address,
  createdAt: rfc3339(row.created_at),
  expiresAt: rfc3339(row.expires_at),
});
