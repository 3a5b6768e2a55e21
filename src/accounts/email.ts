import { isEmail } from 'class-validator';
import { domainToASCII } from 'node:url';

/** RFC 5321, sections 4.5.3.1.1 and 4.5.3.1.3 (less the brackets), in bytes and after normalisation. */
const MAX_LOCAL_BYTES = 64;
const MAX_BYTES = 254;

/**
 * The one spelling under which an address is kept and looked up: NFKC, in lower case, without surrounding space, the
 * domain as DNS knows it (`xn--…`). So one person cannot have two accounts by typing differently. What providers
 * make of dots and plus signs is their business: two addresses that differ there are two.
 *
 * What is no address keeps some spelling too, and nobody's account has it.
 */
export function normaliseEmail(address: string): string {
  return parseEmail(address) ?? fold(address);
}

/** @returns the normal spelling of an address; `undefined` if it is none that mail could reach */
export function parseEmail(address: string): string | undefined {
  const [local = '', written = '', ...rest] = fold(address).split('@');
  // Characters that nobody sees would make two addresses of what looks like one.
  if (rest.length > 0 || /[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}"]/u.test(local)) return undefined;
  // Letters, digits and dots only: a percent sign or a bracket would be read as parts of a URL.
  if (!/^[\p{L}\p{M}\p{N}.。-]+$/u.test(written)) return undefined;
  const domain = domainToASCII(written);
  const email = `${local}@${domain}`;
  const fits = Buffer.byteLength(local) <= MAX_LOCAL_BYTES && Buffer.byteLength(email) <= MAX_BYTES;
  return fits && isEmail(email) ? email : undefined;
}

/** Lower-casing may leave NFKC again: İ becomes two characters. */
const fold = (text: string): string => text.trim().normalize('NFKC').toLowerCase().normalize('NFKC').trim();
