import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Answers to POST that are given again to whoever repeats the request under the same key. */
export class IdempotencyKeys1764500100000 implements MigrationInterface {
  readonly name = 'IdempotencyKeys1764500100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE idempotency_keys (
        principal_id uuid NOT NULL,
        key_hash bytea NOT NULL,
        fingerprint bytea NOT NULL,
        claim uuid NOT NULL,
        state text NOT NULL DEFAULT 'running',
        status integer,
        headers jsonb,
        body text,
        claimed_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        CONSTRAINT idempotency_keys_pkey PRIMARY KEY (principal_id, key_hash),
        CONSTRAINT idempotency_keys_state_check CHECK (state IN ('running', 'answered', 'unknown'))
      )`);
    await runner.query(`CREATE INDEX idempotency_keys_expires_at_idx ON idempotency_keys (expires_at)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE idempotency_keys`);
  }
}
