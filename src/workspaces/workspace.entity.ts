import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn, Unique } from 'typeorm';
import { User } from '../accounts/user.entity.js';
import { type Language, LANGUAGES } from './languages.js';

/** The tenant. */
@Entity('workspaces')
@Check('workspaces_language_check', `language IN (${LANGUAGES.map((name) => `'${name}'`).join(', ')})`)
@Index('workspaces_changing_language_idx', { synchronize: false })
@Unique('workspaces_personal_user_id_key', ['personalUserId'])
export class Workspace {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'workspaces_pkey' })
  id: string;

  @Column('text')
  name: string;

  /** The user whose personal workspace this is. */
  @ForeignKey(() => User, { name: 'workspaces_personal_user_id_fkey' })
  @Column('uuid', { name: 'personal_user_id', nullable: true })
  personalUserId: string | null;

  /** Whether changes of items must say by `If-Match` which version they start from. */
  @Column('boolean', { name: 'require_if_match', default: false })
  requireIfMatch: boolean;

  /** Of full text search: one of PostgreSQL's text search configurations. */
  @Column('text', { default: 'simple' })
  language: Language;

  /** The languages by which the items are indexed: several while that changes, the newest last. */
  @Column('text', { name: 'search_languages', array: true, default: '{simple}' })
  searchLanguages: Language[];

  @Column('timestamptz', { name: 'language_changed_at', default: () => 'now()' })
  languageChangedAt: Date;

  @Column('integer', { default: 1 })
  version: number;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt: Date;
}
