import { randomBytes } from 'node:crypto';
import type { Random } from '../../contracts/index.ts';

/** OpenSSL's generator for bytes, V8's for jitter. */
export const nodeRandom: Random = Object.freeze({
  bytes: (length: number) => new Uint8Array(randomBytes(length)),
  unit: () => Math.random(),
  hex: (bytes: number) => randomBytes(bytes).toString('hex'),
});
