import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Rooms that people make, and who has which role in them. */
export class CustomRooms1764200000000 implements MigrationInterface {
  readonly name = 'CustomRooms1764200000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE rooms (
        id uuid CONSTRAINT rooms_pkey PRIMARY KEY,
        workspace_id uuid NOT NULL
          CONSTRAINT rooms_workspace_id_fkey REFERENCES workspaces (id) ON DELETE CASCADE,
        name text NOT NULL,
        visibility text NOT NULL,
        version integer NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL DEFAULT now(),
        created_by uuid NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now(),
        updated_by uuid NOT NULL,
        closed_at timestamptz,
        CONSTRAINT rooms_visibility_check CHECK (visibility IN ('public', 'private'))
      )`);
    await runner.query(`CREATE INDEX rooms_workspace_id_id_idx ON rooms (workspace_id, id)`);
    // Whoever loses the membership of the workspace loses its rooms in the same statement, whatever code runs it.
    await runner.query(`
      CREATE TABLE room_members (
        room_id uuid NOT NULL CONSTRAINT room_members_room_id_fkey REFERENCES rooms (id) ON DELETE CASCADE,
        principal_id uuid NOT NULL,
        workspace_id uuid NOT NULL,
        role text NOT NULL,
        version integer NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT room_members_pkey PRIMARY KEY (room_id, principal_id),
        CONSTRAINT room_members_membership_fkey FOREIGN KEY (workspace_id, principal_id)
          REFERENCES memberships (workspace_id, principal_id) ON DELETE CASCADE,
        CONSTRAINT room_members_role_check CHECK (role IN ('moderator', 'speaker', 'listener'))
      )`);
    await runner.query(`
      CREATE INDEX room_members_workspace_id_principal_id_idx ON room_members (workspace_id, principal_id)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE room_members`);
    await runner.query(`DROP TABLE rooms`);
  }
}
