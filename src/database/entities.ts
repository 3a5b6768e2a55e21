import { OneTimeToken } from '../accounts/one-time-token.entity.js';
import { User } from '../accounts/user.entity.js';
import { AgentCredential } from '../agents/agent-credential.entity.js';
import { AgentEnrolmentToken } from '../agents/agent-enrolment-token.entity.js';
import { Agent } from '../agents/agent.entity.js';
import { UsedAssertion } from '../agents/used-assertion.entity.js';
import { AuditEntry } from '../audit/audit-entry.entity.js';
import { CustomRoom } from '../custom-rooms/custom-room.entity.js';
import { RoomMember } from '../custom-rooms/room-member.entity.js';
import { Event } from '../events/event.entity.js';
import { StreamHistory } from '../events/stream-history.entity.js';
import { Stream } from '../events/stream.entity.js';
import { IdempotencyKey } from '../idempotency/idempotency-key.entity.js';
import { ItemImport, ItemImportChunk, ItemImportRefusal } from '../items/item-import.entity.js';
import { Item } from '../items/item.entity.js';
import { ItemVersion } from '../items/item-version.entity.js';
import { PurgedItem } from '../items/purged-item.entity.js';
import { TrashedItem } from '../items/trashed-item.entity.js';
import { AgentPresence } from '../leases/agent-presence.entity.js';
import { LeaseState } from '../leases/lease-state.entity.js';
import { LeaseType } from '../leases/lease-type.entity.js';
import { Passkey } from '../mfa/passkey.entity.js';
import { RecoveryCode } from '../mfa/recovery-code.entity.js';
import { TotpFactor } from '../mfa/totp-factor.entity.js';
import { PasswordAttempt } from '../rate-limits/password-attempt.entity.js';
import { DeviceAuthorization } from '../oauth-server/device-authorization.entity.js';
import { Identity } from '../oauth/identity.entity.js';
import { Instance, Presence } from '../rooms/presence.entity.js';
import { RevokedGrant } from '../sessions/revoked-grant.entity.js';
import { Session } from '../sessions/session.entity.js';
import { Invitation } from '../workspaces/invitation.entity.js';
import { Membership } from '../workspaces/membership.entity.js';
import { Workspace } from '../workspaces/workspace.entity.js';

/** Every entity, by name: TypeORM's globs would load them a second time under a test runner. */
export const entities = [
  User,
  OneTimeToken,
  AuditEntry,
  PasswordAttempt,
  Session,
  RevokedGrant,
  Identity,
  TotpFactor,
  RecoveryCode,
  Passkey,
  Workspace,
  Membership,
  Invitation,
  Stream,
  StreamHistory,
  Event,
  Item,
  ItemImport,
  ItemImportChunk,
  ItemImportRefusal,
  TrashedItem,
  ItemVersion,
  PurgedItem,
  Agent,
  AgentCredential,
  AgentEnrolmentToken,
  UsedAssertion,
  DeviceAuthorization,
  AgentPresence,
  LeaseState,
  LeaseType,
  IdempotencyKey,
  CustomRoom,
  RoomMember,
  Instance,
  Presence,
];
