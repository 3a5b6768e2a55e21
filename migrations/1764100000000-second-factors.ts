import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Second factors: authenticator apps, recovery codes and passkeys; failures at them have a counter of their own. */
export class SecondFactors1764100000000 implements MigrationInterface {
  readonly name = 'SecondFactors1764100000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE totp_factors (
        user_id uuid CONSTRAINT totp_factors_pkey PRIMARY KEY
          CONSTRAINT totp_factors_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
        secret bytea NOT NULL,
        last_step bigint NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(),
        confirmed_at timestamptz
      )`);
    await runner.query(`
      CREATE TABLE recovery_codes (
        user_id uuid NOT NULL CONSTRAINT recovery_codes_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
        hash bytea NOT NULL,
        CONSTRAINT recovery_codes_pkey PRIMARY KEY (user_id, hash)
      )`);
    await runner.query(`
      CREATE TABLE passkeys (
        id uuid CONSTRAINT passkeys_pkey PRIMARY KEY,
        user_id uuid NOT NULL CONSTRAINT passkeys_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
        credential_id text NOT NULL CONSTRAINT passkeys_credential_id_key UNIQUE,
        public_key bytea NOT NULL,
        counter bigint NOT NULL,
        transports text[] NOT NULL,
        synced boolean NOT NULL,
        name text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        last_used_at timestamptz
      )`);
    await runner.query(`CREATE INDEX passkeys_user_id_id_idx ON passkeys (user_id, id)`);
    await runner.query(`ALTER TABLE one_time_tokens ADD COLUMN attempts integer NOT NULL DEFAULT 0`);
    await runner.query(`
      ALTER TABLE password_attempts
        DROP CONSTRAINT password_attempts_kind_check,
        ADD CONSTRAINT password_attempts_kind_check CHECK (kind IN ('pair', 'account', 'address', 'factor'))`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DELETE FROM password_attempts WHERE kind = 'factor'`);
    await runner.query(`
      ALTER TABLE password_attempts
        DROP CONSTRAINT password_attempts_kind_check,
        ADD CONSTRAINT password_attempts_kind_check CHECK (kind IN ('pair', 'account', 'address'))`);
    await runner.query(`ALTER TABLE one_time_tokens DROP COLUMN attempts`);
    await runner.query(`DROP TABLE passkeys`);
    await runner.query(`DROP TABLE recovery_codes`);
    await runner.query(`DROP TABLE totp_factors`);
  }
}
