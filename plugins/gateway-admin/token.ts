/** The bearer token: who can read the file may administer the site. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FileSystem, Random } from '../../core/contracts/index.ts';

const TOKEN_BYTES = 32;
const WELL_FORMED = /^[0-9a-f]{64}$/;
const OWNER_ONLY = 0o600;

/**
 * The token that the file holds, or a new one when there is none or it is not one of ours. Written again either way, so that
 * the file has mode 0600 whatever was done to it.
 */
export async function keepToken(file: string, files: FileSystem, random: Random): Promise<string> {
  const found = await files.readFile(file);
  const text = found === undefined ? '' : Buffer.from(found).toString('latin1').trim();
  const token = WELL_FORMED.test(text) ? text : random.hex(TOKEN_BYTES);
  await files.writeFileAtomic(file, Buffer.from(`${token}\n`, 'latin1'), { permissions: OWNER_ONLY });
  return token;
}

/** True when an `Authorization` header carries the token. Takes the same time whatever was sent. */
export function carriesToken(authorization: string | undefined, token: string): boolean {
  const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '';
  return timingSafeEqual(digest(given), digest(token));
}

/** Equal lengths, as timingSafeEqual wants them. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'latin1').digest();
}
