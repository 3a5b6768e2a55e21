const MIN_LENGTH = 8;
const MAX_LENGTH = 128;
/** Of a character's UTF-16 units before normalisation, generously: longer texts are not even looked at. */
const MAX_UNITS = 1_024;

/** Whether it has 8 to 128 characters: code points after NFC, so that no Unicode form is longer than another. */
export function hasFitLength(password: string): boolean {
  if (password.length > MAX_UNITS) return false;
  const length = Array.from(password.normalize('NFC')).length;
  return length >= MIN_LENGTH && length <= MAX_LENGTH;
}

/**
 * What makes a password too easy to guess, whoever guesses: it is common, or is the address it belongs to. There are
 * no rules of composition (NIST SP 800-63B-4, section 3.1.1.2).
 * @param email normalised
 * @returns what is wrong and what to do; `undefined` if nothing is
 */
export async function weakness(password: string, email: string): Promise<string | undefined> {
  const folded = password.normalize('NFKC').trim().toLowerCase();
  const [local] = email.split('@');
  if (folded === email || folded === local) return 'must not be the e-mail address';
  if ((await commonPasswords()).has(folded))
    return 'is one of the most common passwords; choose another, a few words for example';
  return undefined;
}

let loading: Promise<ReadonlySet<string>> | undefined;

/** Of the 49,000 passwords that leaked most often, those of 8 characters and more; about 7 MB, read when first needed. */
function commonPasswords(): Promise<ReadonlySet<string>> {
  return (loading ??= import('@zxcvbn-ts/language-common').then(
    ({ dictionary }) =>
      new Set(dictionary['passwords-common'].filter((password) => password.length >= MIN_LENGTH)),
  ));
}
