/** What a notice says; nothing in them was written by whoever caused them. */
export interface Notice {
  readonly subject: string;
  readonly text: string;
}

const IF_NOT_YOU =
  'If it was not you, change your password now and look at the sessions and sign-in methods of your account.';

const notice = (subject: string, ...paragraphs: string[]): Notice => ({
  subject,
  text: `${[...paragraphs, IF_NOT_YOU].join('\n\n')}\n`,
});

export const recoveryCodeUsed = (): Notice =>
  notice(
    'A recovery code was used',
    'A recovery code took the place of the second factor of your account. Each code works once: make new ones\n' +
      'before you run out of them.',
  );

export const recoveryCodesReplaced = (): Notice =>
  notice('Your recovery codes were replaced', 'New recovery codes were made; the old ones work no more.');

export const factorAdded = (what: 'authenticator app' | 'passkey'): Notice =>
  notice(`Your account has a new ${what}`, `A new ${what} was added to your account.`);

export const factorRemoved = (what: 'authenticator app' | 'passkey'): Notice =>
  notice(
    `A sign-in method was removed`,
    `The ${what} was removed from your account, and its other sessions ended.`,
  );

export const passkeyCopied = (): Notice =>
  notice(
    'A passkey of yours may have been copied',
    'A passkey of your account counted backwards, as a copy of it would. It was refused: remove it, and add another.',
  );
