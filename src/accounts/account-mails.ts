/** What a mail says; to whom is the sender's business. Nothing in them was written by whoever caused them. */
export interface MailText {
  readonly subject: string;
  readonly text: string;
}

const mail = (subject: string, ...paragraphs: string[]): MailText => ({
  subject,
  text: `${paragraphs.join('\n\n')}\n`,
});

export const confirmAddress = (link: string): MailText =>
  mail(
    'Confirm your e-mail address',
    'An account was created with this e-mail address. Confirm that it is yours within 24 hours:',
    link,
    'If it was not you, do not follow the link. To take the account over instead, ask for a new password in the\n' +
      'app: it ends whatever somebody else has set up.',
  );

export const confirmRegistration = (link: string): MailText =>
  mail(
    'Complete your registration',
    'Somebody, hopefully you, registered with this e-mail address. Complete it within 24 hours, with the password\n' +
      'that was chosen:',
    link,
    'If it was not you, ignore this mail: there is no account.',
  );

export const alreadyRegistered = (): MailText =>
  mail(
    'You have an account already',
    'Somebody, hopefully you, tried to use this e-mail address for an account, but it has one. Log in with it, or\n' +
      'ask for a new password if you forgot yours.',
    'If it was not you, ignore this mail: nothing has changed.',
  );

export const resetPassword = (link: string): MailText =>
  mail(
    'Choose a new password',
    'A new password was asked for. Choose it within 30 minutes:',
    link,
    'If it was not you, ignore this mail: nothing has changed.',
  );

export const passwordWasReset = (): MailText =>
  mail(
    'Your password was changed',
    'A new password was chosen by a link in a mail, and every session has ended.',
    'If it was not you, somebody reads your mail: secure it first, then ask for a new password.',
  );

export const confirmNewAddress = (link: string): MailText =>
  mail(
    'Confirm your new e-mail address',
    'This is to become the e-mail address of an account. Confirm it within an hour:',
    link,
    'If it was not you, ignore this mail: nothing has changed.',
  );

export const addressChangeRequested = (newAddress: string): MailText =>
  mail(
    'Your e-mail address is about to change',
    `Somebody who knows your password asked to change your account's e-mail address to ${newAddress}. It\n` +
      'changes once that address is confirmed.',
    'If it was not you, change your password now: it stops the change.',
  );

export const addressChanged = (oldAddress: string, newAddress: string): MailText =>
  mail(
    'Your e-mail address was changed',
    `The e-mail address of your account was ${oldAddress} and is now ${newAddress}.`,
    'If it was not you, tell whoever runs this service.',
  );
