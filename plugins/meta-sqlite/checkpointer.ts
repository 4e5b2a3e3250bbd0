/**
 * Copies the write-ahead log back into the database off the commit path. In line, that copy is a pause of 30-50 ms for
 * everybody (storage.md); here the thread does the bulk while commits go on, and the few frames that arrived meanwhile are
 * finished between two commits, so that the log starts over instead of growing under a load that never pauses.
 */
import type { Logger } from '../../core/contracts/index.ts';
import type { CheckpointResult } from './sqlite-adapter.ts';

/** So few frames cost one short write and sync: about a commit. */
const FINISH_FRAMES = 256;
/** Each pass leaves what was written during it, less every time; more passes only when a snapshot pins the log. */
const MAX_PASSES = 4;

export interface CheckpointerPorts {
  /** A pass on the thread. */
  readonly pass: () => Promise<CheckpointResult>;
  /** A pass right here, blocking. */
  readonly finish: () => CheckpointResult;
  readonly logger: Logger;
  /** Bytes of log after which a round starts. */
  readonly checkpointBytes: number;
}

export class Checkpointer {
  readonly #ports: CheckpointerPorts;
  #owedBytes = 0;
  #round: Promise<void> | undefined;
  #closed = false;

  constructor(ports: CheckpointerPorts) {
    this.#ports = ports;
  }

  /** After each commit: cheap until a round is due. */
  wrote(bytes: number): void {
    this.#owedBytes += bytes;
    if (this.#owedBytes < this.#ports.checkpointBytes || this.#round !== undefined || this.#closed) return;
    this.#owedBytes = 0;
    this.#round = this.#run().finally(() => (this.#round = undefined));
  }

  /** Waits for the round that runs; starts no more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#round;
  }

  async #run(): Promise<void> {
    try {
      let left = await this.#passes();
      if (left > 0 && left <= FINISH_FRAMES && !this.#closed) left = remaining(this.#ports.finish());
      if (left > 0)
        this.#ports.logger.debug({ frames: left }, 'write-ahead log not wholly copied back: a snapshot is open');
    } catch (error) {
      // Nothing is lost: the log still holds every commit, and the next round tries again.
      this.#ports.logger.warn({ err: error }, 'checkpoint of the write-ahead log failed');
    }
  }

  async #passes(): Promise<number> {
    let left = 0;
    for (let pass = 0; pass < MAX_PASSES && !this.#closed; pass++) {
      left = remaining(await this.#ports.pass());
      if (left <= FINISH_FRAMES) break;
    }
    return left;
  }
}

function remaining({ logFrames, doneFrames }: CheckpointResult): number {
  return logFrames - doneFrames;
}
