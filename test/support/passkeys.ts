import { SoftwareAuthenticator, type CeremonyOptions } from './authenticator.js';
import { type Answer, http, type ProblemAnswer } from './http.js';
import { type LoginAnswer, type PageAnswer, type Person, registerUser } from './people.js';

export const ORIGIN = 'https://app.example.com';

export interface PasskeyAnswer {
  readonly id: string;
  readonly name: string;
}

interface AddedAnswer {
  readonly passkey: PasskeyAnswer;
  readonly recoveryCodes: readonly string[];
}

/** Somebody with a passkey. */
export interface Keeper extends Person, AddedAnswer {
  readonly device: SoftwareAuthenticator;
}

export const optionsOf = async (
  call: Promise<Answer<{ options: CeremonyOptions }>>,
): Promise<CeremonyOptions> => (await call).body.options;

export const creation = (person: Person): Promise<CeremonyOptions> =>
  optionsOf(person.http.post('/v1/me/passkeys/options'));

export const add = (person: Person, credential: object): Promise<Answer<AddedAnswer & ProblemAnswer>> =>
  person.http.post('/v1/me/passkeys', { name: 'Phone', credential });

export const passkeysOf = async (person: Person): Promise<readonly PasskeyAnswer[]> =>
  (await person.http.get<PageAnswer<PasskeyAnswer>>('/v1/me/passkeys')).body.data;

/** How people sign in to an instance by their passkeys. */
export class Passkeys {
  constructor(private readonly app: { readonly url: string }) {}

  signInOptions(): Promise<CeremonyOptions> {
    return optionsOf(http(this.app).post('/v1/auth/passkeys/options'));
  }

  signIn(credential: object): Promise<Answer<LoginAnswer & ProblemAnswer>> {
    return http(this.app).post('/v1/auth/passkeys/sign-in', { credential });
  }

  /** Somebody, new unless named, with a passkey. */
  async keeper(person?: Person): Promise<Keeper> {
    const owner = person ?? (await registerUser(this.app));
    const device = new SoftwareAuthenticator(ORIGIN);
    const answer = await add(owner, device.create(await creation(owner)));
    if (answer.status !== 201) throw new Error(`add answered ${answer.status}: ${answer.text}`);
    return { ...owner, ...answer.body, device };
  }
}
