import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { Agent } from '../agents/agent.entity.js';

/** Whether an agent is there. None: it never said so. */
@Entity('agent_presences')
@Check('agent_presences_state_check', "state IN ('online', 'offline', 'lost')")
@Index('agent_presences_due_at_idx', ['dueAt'], { where: "state = 'online'" })
export class AgentPresence {
  @ForeignKey(() => Agent, { name: 'agent_presences_agent_id_fkey', onDelete: 'CASCADE' })
  @PrimaryColumn('uuid', { name: 'agent_id', primaryKeyConstraintName: 'agent_presences_pkey' })
  agentId: string;

  @Column('uuid', { name: 'workspace_id' })
  workspaceId: string;

  @Column('text', { default: 'online' })
  state: 'online' | 'offline' | 'lost';

  /** The instances of which it has sockets over which it said so; none if it said so last by POST. */
  @Column('uuid', { array: true, default: '{}' })
  connected: string[];

  /** If nothing is heard of it by then, it is lost. */
  @Column('timestamptz', { name: 'due_at' })
  dueAt: Date;
}
