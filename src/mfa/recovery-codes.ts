import { Injectable } from '@nestjs/common';
import { createHash, randomBytes } from 'node:crypto';
import type { EntityManager } from 'typeorm';

const COUNT = 10;
const LENGTH = 16;
/** Crockford's base 32: nothing that looks like something else. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** Codes for the day on which the phone is lost: ten, each good once, shown when they are made and never again. */
@Injectable()
export class RecoveryCodes {
  /** Makes new ones in the place of all that there were. @returns them, as the person is to keep them */
  async replace(manager: EntityManager, userId: string): Promise<string[]> {
    const codes = Array.from({ length: COUNT }, newCode);
    await manager.query(`DELETE FROM recovery_codes WHERE user_id = $1`, [userId]);
    await manager.query(`INSERT INTO recovery_codes (user_id, hash) SELECT $1, unnest($2::bytea[])`, [
      userId,
      codes.map((code) => hashOf(userId, code)),
    ]);
    return codes;
  }

  /** Uses a code up, in one statement: of two who try at once, one succeeds. @returns whether it was good */
  async use(manager: EntityManager, userId: string, code: string): Promise<boolean> {
    const [, used] = await manager.query<[unknown[], number]>(
      `DELETE FROM recovery_codes WHERE user_id = $1 AND hash = $2`,
      [userId, hashOf(userId, code)],
    );
    return used > 0;
  }
}

function newCode(): string {
  const characters = Array.from(randomBytes(LENGTH), (byte) => ALPHABET[byte % ALPHABET.length]).join('');
  return characters.replace(/(.{4})(?=.)/g, '$1-');
}

/** However it was typed. */
function hashOf(userId: string, code: string): Buffer {
  const plain = code
    .toLowerCase()
    .replace(/[^0-9a-z]/g, '')
    .replace(/o/g, '0')
    .replace(/[il]/g, '1');
  return createHash('sha256').update(`${userId}\0${plain}`).digest();
}
