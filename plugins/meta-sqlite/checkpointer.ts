/**
 * Copies the write-ahead log back into the database off the commit path: in line, that copy is a pause of 30-50 ms for
 * everybody (storage.md). The thread does the bulk while commits go on. Under a load that never pauses a pass always leaves
 * what was written during it, and the log would never start over; so when it has grown long, the database is synced in the
 * background (SQLite syncs it only when nothing is left), and the last few frames are copied between two commits.
 */
import type { Logger } from '../../core/contracts/index.ts';
import { PAGE_BYTES, type CheckpointResult } from './sqlite-adapter.ts';

/** The log is cut back at this multiple of `checkpointBytes`, so that the short pause of doing so is rare. */
const CUT_FACTOR = 4;
/** So few frames cost about as much as a commit. */
const FINISH_FRAMES = 512;
const MAX_CATCH_UP = 4;

export interface CheckpointerPorts {
  /** A pass on the thread. */
  readonly pass: () => Promise<CheckpointResult>;
  /** Makes durable, in the background, what passes have copied into the database. */
  readonly sync: () => Promise<void>;
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
      const first = await this.#ports.pass();
      if (isPinned(first)) return this.#reportPinned(first);
      if (first.logFrames * PAGE_BYTES < CUT_FACTOR * this.#ports.checkpointBytes) return;
      if (await this.#catchUp(first)) this.#ports.finish();
    } catch (error) {
      // Nothing is lost: the log still holds every commit, and the next round tries again.
      this.#ports.logger.warn({ err: error }, 'checkpoint of the write-ahead log failed');
    }
  }

  /** Syncs and copies, each time less, until so little is left that finishing it is short. False: not now. */
  async #catchUp(first: CheckpointResult): Promise<boolean> {
    for (let step = 0, before = first; step < MAX_CATCH_UP && !this.#closed; step++) {
      await this.#ports.sync();
      const after = await this.#ports.pass();
      if (isPinned(after)) return false;
      if (after.logFrames - before.logFrames <= FINISH_FRAMES) break;
      before = after;
    }
    return !this.#closed;
  }

  #reportPinned(result: CheckpointResult): void {
    this.#ports.logger.debug({ ...result }, 'the write-ahead log cannot be copied back whole: a snapshot is open');
  }
}

function isPinned({ logFrames, doneFrames }: CheckpointResult): boolean {
  return doneFrames < logFrames;
}
