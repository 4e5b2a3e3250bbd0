/**
 * A hash worker thread. Bytes come as regions of a SharedArrayBuffer (the pool's `workerData`, or the caller's own), so a
 * message carries two numbers and no data. Every `update` and `finish` is answered once, in order; `abandon` is not answered. What throws here ends
 * the thread, and the pool fails the sessions that were on it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { HashAlgorithm } from '../../contracts/index.ts';
import { createDigest } from './digests.ts';
import type { Digest } from './digests.ts';

export type HashMessage =
  | {
      readonly op: 'update';
      readonly lane: number;
      readonly algorithm: HashAlgorithm;
      /** Where the bytes lie; absent: in the pool's own memory. */
      readonly memory?: SharedArrayBuffer;
      readonly offset: number;
      readonly length: number;
    }
  | { readonly op: 'finish'; readonly lane: number }
  | { readonly op: 'abandon'; readonly lane: number };

/** `undefined` for an update, the digest for a finish. */
export type HashReply = Uint8Array | undefined;

const port = parentPort;
if (port === null) throw new Error('hash-worker runs as a worker thread only');
const shared = new Uint8Array(workerData as SharedArrayBuffer);
const lanes = new Map<number, Digest>();

function answer(message: Exclude<HashMessage, { readonly op: 'abandon' }>): HashReply {
  let digest = lanes.get(message.lane);
  if (message.op === 'finish') {
    if (digest === undefined) throw new Error(`hash lane ${message.lane} finished before its first update`);
    lanes.delete(message.lane);
    return digest.finish();
  }
  if (digest === undefined) {
    digest = createDigest(message.algorithm);
    lanes.set(message.lane, digest);
  }
  const { memory, offset, length } = message;
  digest.update(
    memory === undefined ? shared.subarray(offset, offset + length) : new Uint8Array(memory, offset, length),
  );
  return undefined;
}

port.on('message', (message: HashMessage) => {
  if (message.op === 'abandon') lanes.delete(message.lane);
  else port.postMessage(answer(message));
});
