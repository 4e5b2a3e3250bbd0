/**
 * Ops next to the data: each flush's ops are appended to the chunk-store as one record, so that the meta-store can be
 * rebuilt from the chunk-store alone (rule 17). They are written right after the commit and synced with the next write's
 * data, or after a quiet second: a power cut that also destroys the meta-store can lose at most that last second.
 */
import type { ChunkStore, Hashing, Logger, Op, Timers } from '../contracts/index.ts';

const SYNC_DELAY_MS = 1000;

export interface OpLog {
  append(ops: readonly Op[]): void;
  /** Waits for what was appended and syncs it. Rejects when that cannot be made sure. */
  close(): Promise<void>;
}

export interface OpLogDeps {
  readonly chunkStore: ChunkStore;
  readonly hashing: Hashing;
  readonly timers: Timers;
  readonly logger: Logger;
}

export function createOpLog({ chunkStore, hashing, timers, logger }: OpLogDeps): OpLog {
  let writing: Promise<void> = Promise.resolve();
  let timer: { cancel(): void } | undefined;
  const report = (error: unknown): void =>
    logger.error(
      { err: error },
      'the op log next to the data is behind: rebuilding the meta-store from it would miss ops',
    );

  function syncSoon(): void {
    timer ??= timers.after(
      SYNC_DELAY_MS,
      () => {
        timer = undefined;
        chunkStore.sync().catch(report);
      },
      { unref: true },
    );
  }

  return {
    append(ops) {
      const data = Buffer.from(ops.map((op) => `${JSON.stringify(op)}\n`).join(''));
      const hash = `sha256:${Buffer.from(hashing.hash('sha256', data)).toString('hex')}`;
      writing = writing
        .then(() => chunkStore.append([{ kind: 'op', hash, data: [data] }]))
        .then(syncSoon)
        .catch(report);
    },
    async close() {
      await writing;
      timer?.cancel();
      await chunkStore.sync();
    },
  };
}
