import { Injectable } from '@nestjs/common';
import { createHash, createHmac, hkdfSync } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { AtriumConfig } from '../config/config.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { Jobs } from '../jobs/jobs.js';
import { Mailer } from '../mail/mailer.js';
import { PublicLinks } from '../mail/public-links.js';
import { INVITED } from './invitations.sql.js';
import type { Role } from './membership.entity.js';

const MAIL_JOB = 'invitations.mail';
const CONCURRENCY = 2;
/** A page of the web app, which takes the token from its fragment. */
const ACCEPT_PAGE = '/accept-invitation';

interface InvitedRow {
  readonly email: string;
  readonly role: Role;
  readonly workspace: string;
}

/** SHA-256 of a token, as the database keeps it. */
export const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/**
 * Mails invitations, whatever becomes of the instance that made them: as a job, put into its queue in the transaction of
 * the invitation. The token stands in no queue and no table. It follows from the invitation's id by a key that the
 * database does not have, so that a mail that is sent twice says the same.
 */
@Injectable()
export class InvitationMails {
  private readonly key: Buffer;

  constructor(
    private readonly statements: PipelinedStatements,
    private readonly mailer: Mailer,
    private readonly links: PublicLinks,
    private readonly jobs: Jobs,
    { tokens }: AtriumConfig,
  ) {
    this.key = Buffer.from(hkdfSync('sha256', tokens.secret, '', 'atrium invitations', 32));
    jobs.handle<{ invitationId: string }>(
      MAIL_JOB,
      { concurrency: CONCURRENCY },
      async ({ data, signal }) => {
        await this.send(data.invitationId, signal);
        return 'done';
      },
    );
  }

  /** What the mail will bring, and whoever has it may accept with. */
  tokenOf(invitationId: string): string {
    return createHmac('sha256', this.key).update(invitationId).digest('base64url');
  }

  /** Has the mail sent once the transaction has committed. */
  async enqueue(manager: EntityManager, invitationId: string): Promise<void> {
    await this.jobs.enqueue(MAIL_JOB, { invitationId }, { manager });
  }

  /** Nothing for an invitation that was used, replaced or withdrawn meanwhile. */
  private async send(invitationId: string, signal: AbortSignal): Promise<void> {
    const token = this.tokenOf(invitationId);
    // Its hash anew: the key may be another one than when it was made.
    const [invited] = await this.statements.run<InvitedRow | undefined>(INVITED, [
      invitationId,
      hashOf(token),
    ]);
    if (!invited) return;
    const { email, role, workspace } = invited;
    await this.mailer.sendNow(
      {
        to: email,
        subject: `You are invited to ${workspace}`,
        text:
          `You are invited to the workspace "${workspace}", as ${role}.\n\n` +
          `Sign in with this address, or register it, and accept within seven days:\n\n` +
          `${this.links.withToken(ACCEPT_PAGE, token)}\n\n` +
          `If you do not know what this is about, ignore this mail: nothing happens then.\n`,
      },
      signal,
    );
  }
}
