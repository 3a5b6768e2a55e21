import { Backbone1763827200000 } from './1763827200000-backbone.js';
import { IdentityGround1764000000000 } from './1764000000000-identity-ground.js';
import { MembershipPositions1764000100000 } from './1764000100000-membership-positions.js';
import { SessionEndings1764000200000 } from './1764000200000-session-endings.js';
import { AttemptsAndAppendOnlyAudit1764000400000 } from './1764000400000-attempts-and-append-only-audit.js';
import { Identities1764000500000 } from './1764000500000-identities.js';
import { SecondFactors1764100000000 } from './1764100000000-second-factors.js';
import { CustomRooms1764200000000 } from './1764200000000-custom-rooms.js';
import { EventPartitions1764300000000 } from './1764300000000-event-partitions.js';
import { Presence1764400000000 } from './1764400000000-presence.js';
import { RequiredIfMatch1764500000000 } from './1764500000000-required-if-match.js';
import { IdempotencyKeys1764500100000 } from './1764500100000-idempotency-keys.js';
import { ItemLists1764600000000 } from './1764600000000-item-lists.js';
import { Jobs1764700000000 } from './1764700000000-jobs.js';
import { ItemImports1764700100000 } from './1764700100000-item-imports.js';
import { ItemTrash1764800000000 } from './1764800000000-item-trash.js';
import { ItemVersions1764800100000 } from './1764800100000-item-versions.js';
import { Agents1764900000000 } from './1764900000000-agents.js';
import { AgentEnrolment1764900100000 } from './1764900100000-agent-enrolment.js';
import { Leases1765000000000 } from './1765000000000-leases.js';
import { AgentPresences1765000100000 } from './1765000100000-agent-presences.js';
import { ItemSize1765100000000 } from './1765100000000-item-size.js';
import { AgentSockets1765200000000 } from './1765200000000-agent-sockets.js';
import { ItemImportCallers1765300000000 } from './1765300000000-item-import-callers.js';
import { LeasedIndex1765310000000 } from './1765310000000-leased-index.js';
import { HeldIndex1765450000000 } from './1765450000000-held-index.js';
import { AuditRetention1765460000000 } from './1765460000000-audit-retention.js';
import { EndedSessionsIndex1765470000000 } from './1765470000000-ended-sessions-index.js';
import { ReplacedCredentials1765480000000 } from './1765480000000-replaced-credentials.js';
import { ExpiredInvitationsIndex1765490000000 } from './1765490000000-expired-invitations-index.js';
import { ClosedRoomsIndex1765500000000 } from './1765500000000-closed-rooms-index.js';
import { ItemsOfAWorkspace1765510000000 } from './1765510000000-items-of-a-workspace.js';

/** Every migration, in order. */
export const migrations = [
  Backbone1763827200000,
  IdentityGround1764000000000,
  MembershipPositions1764000100000,
  SessionEndings1764000200000,
  AttemptsAndAppendOnlyAudit1764000400000,
  Identities1764000500000,
  SecondFactors1764100000000,
  CustomRooms1764200000000,
  EventPartitions1764300000000,
  Presence1764400000000,
  RequiredIfMatch1764500000000,
  IdempotencyKeys1764500100000,
  ItemLists1764600000000,
  Jobs1764700000000,
  ItemImports1764700100000,
  ItemTrash1764800000000,
  ItemVersions1764800100000,
  Agents1764900000000,
  AgentEnrolment1764900100000,
  Leases1765000000000,
  AgentPresences1765000100000,
  ItemSize1765100000000,
  AgentSockets1765200000000,
  ItemImportCallers1765300000000,
  LeasedIndex1765310000000,
  HeldIndex1765450000000,
  AuditRetention1765460000000,
  EndedSessionsIndex1765470000000,
  ReplacedCredentials1765480000000,
  ExpiredInvitationsIndex1765490000000,
  ClosedRoomsIndex1765500000000,
  ItemsOfAWorkspace1765510000000,
];
