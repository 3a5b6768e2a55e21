import { readFileSync } from 'node:fs';

/**
 * Reads a file that holds secrets. Neither the parser's message nor the system's is told: they quote the text, or a
 * secret that was given in the place of the file's name.
 * @throws {Error} that says what is wrong with it, and nothing of what it holds
 */
export function readJsonFile(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`it cannot be read: ${String((error as NodeJS.ErrnoException).code)}`, { cause: error });
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('it is not JSON');
  }
}
