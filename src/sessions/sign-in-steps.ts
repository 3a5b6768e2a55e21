import { Injectable } from '@nestjs/common';
import type { User } from '../accounts/user.entity.js';
import type { ClientInfo } from '../common/client-info.js';
import type { SignInChallenge } from './sessions.dto.js';

/** Asked after the first proof was good: `undefined` to let the person in, or what else they must show. */
export type SignInStep = (
  user: User,
  amr: string[],
  client: ClientInfo,
) => Promise<SignInChallenge | undefined>;

/** Where modules demand more than the first factor, without sessions knowing them. */
@Injectable()
export class SignInSteps {
  private readonly steps: SignInStep[] = [];

  add(step: SignInStep): void {
    this.steps.push(step);
  }

  /** @returns the first challenge that is raised */
  async challenge(user: User, amr: string[], client: ClientInfo): Promise<SignInChallenge | undefined> {
    for (const step of this.steps) {
      const challenge = await step(user, amr, client);
      if (challenge) return challenge;
    }
    return undefined;
  }
}
