import { Secret, TOTP } from 'otpauth';
import type { TestApp } from './app.js';
import { type Answer, http, type ProblemAnswer } from './http.js';
import { type LoginAnswer, type Person, registerUser } from './people.js';

/** What a login answers that asks for more. */
export interface ChallengeAnswer {
  readonly mfaRequired: boolean;
  readonly mfaToken: string;
  readonly methods: readonly string[];
  readonly expiresIn: number;
}

export interface EnrolmentAnswer {
  readonly secret: string;
  readonly otpauthUrl: string;
  readonly qrCode: string;
}

/** Somebody with an authenticator app. */
export interface GuardedPerson extends Person {
  readonly secret: string;
  readonly recoveryCodes: readonly string[];
}

/** People's authenticator apps, whose clock goes with that of the instance. */
export class Phones {
  private offset = 0;

  constructor(private readonly app: TestApp) {}

  /** The code of this half minute, or of another so many of them away. */
  code(secret: string, steps = 0): string {
    const timestamp = Date.now() + this.offset + steps * 30_000;
    return TOTP.generate({ secret: Secret.fromBase32(secret), timestamp });
  }

  /** Half a minute passes: the app shows the next code. */
  tick(): void {
    this.offset += 30_000;
    this.app.moveClock(30_000);
  }

  nextCode(secret: string): string {
    this.tick();
    return this.code(secret);
  }

  /** Somebody new, with an authenticator app. */
  async guarded(person?: Person): Promise<GuardedPerson> {
    const owner = person ?? (await registerUser(this.app));
    const { body } = await owner.http.post<EnrolmentAnswer>('/v1/auth/mfa/totp');
    const answer = await owner.http.post<{ recoveryCodes: string[] }>('/v1/auth/mfa/totp/confirm', {
      code: this.code(body.secret),
    });
    if (answer.status !== 200) throw new Error(`confirm answered ${answer.status}: ${answer.text}`);
    return { ...owner, secret: body.secret, recoveryCodes: answer.body.recoveryCodes };
  }
}

/** The first half of a sign-in. */
export async function challenge(app: { url: string }, person: Person): Promise<ChallengeAnswer> {
  const { status, body, text } = await http(app).post<ChallengeAnswer>('/v1/auth/login', {
    email: person.user.email,
    password: person.password,
  });
  if (status !== 200 || !body.mfaRequired) throw new Error(`login answered ${status}: ${text}`);
  return body;
}

/** The second half. */
export const verify = (
  app: { url: string },
  mfaToken: string,
  proof: object,
): Promise<Answer<LoginAnswer & ProblemAnswer>> =>
  http(app).post('/v1/auth/mfa/verify', { mfaToken, ...proof });

/** What happened to an account, oldest first. */
export const actionsOf = async (app: TestApp, userId: string): Promise<string[]> =>
  (
    await app.sql<{ action: string }>('SELECT action FROM audit_entries WHERE user_id = $1 ORDER BY id', [
      userId,
    ])
  ).map(({ action }) => action);

/** The session's proof is older than what sensitive changes ask for. */
export const growOld = (app: TestApp, { user }: Person) =>
  app.sql(`UPDATE sessions SET authenticated_at = now() - interval '11 minutes' WHERE user_id = $1`, [
    user.id,
  ]);
