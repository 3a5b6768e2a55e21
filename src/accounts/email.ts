/**
 * The one spelling under which an address is kept and looked up: NFKC, without surrounding space, in lower
 * case. So one person cannot have two accounts by typing differently.
 */
export function normaliseEmail(address: string): string {
  return address.normalize('NFKC').trim().toLowerCase();
}
