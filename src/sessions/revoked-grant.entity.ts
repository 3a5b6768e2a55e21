import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * The end of something by which access tokens were given, other than a login, which may be to come: kept until the last
 * of them expired.
 */
@Entity('revoked_grants')
@Index('revoked_grants_revoked_at_idx', ['revokedAt'])
export class RevokedGrant {
  /** What the tokens name as `sid`, or one token's `jti`. */
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'revoked_grants_pkey' })
  id: string;

  @Column('timestamptz', { name: 'revoked_at', default: () => 'now()' })
  revokedAt: Date;
}
