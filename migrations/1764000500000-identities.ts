import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who somebody is at a provider: the key is the provider's issuer and subject, never an address. */
export class Identities1764000500000 implements MigrationInterface {
  readonly name = 'Identities1764000500000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE identities (
        id uuid CONSTRAINT identities_pkey PRIMARY KEY,
        user_id uuid NOT NULL CONSTRAINT identities_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
        provider text NOT NULL,
        issuer text NOT NULL,
        subject text NOT NULL,
        email text,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT identities_issuer_subject_key UNIQUE (issuer, subject)
      )`);
    await runner.query(`CREATE INDEX identities_user_id_id_idx ON identities (user_id, id)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE identities`);
  }
}
