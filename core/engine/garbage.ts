/**
 * Background collection of shared chunks that lost a holder. Candidates are rows of the garbage queue, written in the same
 * transaction that let go; a candidate that nobody holds loses its row and its bytes. Restartable at any point.
 */
import {
  SkerryError,
  isSkerryError,
  type ChunkHash,
  type ChunkStore,
  type Logger,
  type ManifestEntry,
  type MetaRange,
  type MetaReader,
  type Timers,
} from '../contracts/index.ts';
import { releaseEntries } from './chunk-refs.ts';
import type { Committer } from './committer.ts';
import { chunkKey, garbageKey, garbagePrefix, refOwner, refPrefix, tupleRange } from './keys.ts';
import type { Pins } from './pins.ts';
import type { Reclaimer } from './reclaim.ts';
import { decodeRecord, type ChunkRow } from './records.ts';
import { scanPages } from './scan-pages.ts';

const BATCH = 100;
const DELAY_MS = 200;

export interface GarbageDeps {
  readonly reader: MetaReader;
  readonly chunkStore: ChunkStore;
  readonly committer: Committer;
  readonly reclaimer: Reclaimer;
  readonly pins: Pins;
  readonly timers: Timers;
  readonly logger: Logger;
}

export interface GarbageCollector {
  /** Something was let go of: collect soon. Cheap, coalesced. */
  wake(): void;
  /** Collects until the queue holds nothing that can go now; resolves to the number of chunks given back. */
  run(): Promise<number>;
  /** Waits for a running pass; starts none afterwards. Idempotent. */
  close(): Promise<void>;
}

export function createGarbageCollector(deps: GarbageDeps): GarbageCollector {
  const stop = new AbortController();
  let timer: { cancel(): void } | undefined;
  let running: Promise<number> | undefined;

  function run(): Promise<number> {
    running ??= collect(deps, stop.signal).finally(() => (running = undefined));
    return running;
  }

  function wake(): void {
    if (stop.signal.aborted || timer) return;
    timer = deps.timers.after(DELAY_MS, passSoon, { unref: true });
  }

  function passSoon(): void {
    timer = undefined;
    // A pass that is under way may be past what was let go of meanwhile.
    if (running) return wake();
    run().catch((error: unknown) => {
      if (isSkerryError(error, 'Closed')) return;
      deps.logger.error({ err: error }, 'garbage collection failed; it goes on at the next deletion');
    });
  }

  return {
    wake,
    run,
    async close() {
      stop.abort();
      timer?.cancel();
      await running?.catch((error: unknown) => {
        if (!isSkerryError(error, 'Closed')) throw error;
      });
    },
  };
}

async function collect(deps: GarbageDeps, stop: AbortSignal): Promise<number> {
  const prefix = garbagePrefix();
  let collected = 0;
  for await (const rows of scanPages(deps.reader, { space: 'queues', ...tupleRange(prefix), limit: BATCH })) {
    // A read that began before these were let go of may still look them up.
    await deps.reclaimer.barrier(stop);
    for (const { key, value } of rows) {
      const hash = Buffer.from(key.subarray(prefix.length)).toString('utf8');
      if (!stop.aborted && (await collectOne(deps, hash, value))) collected++;
    }
    if (stop.aborted) break;
  }
  return collected;
}

/** `queued`: the row of the queue as it was before running reads were waited for. */
async function collectOne(deps: GarbageDeps, hash: ChunkHash, queued: Uint8Array): Promise<boolean> {
  const children = await nodeChildren(deps, hash);
  return deps.committer.commit({
    reads: { keys: [chunkKey(hash), garbageKey(hash)], ranges: [refRange(hash)] },
    appended: [],
    decide({ txn, effects }) {
      if (deps.pins.has(hash)) return false;
      // Let go of once more meanwhile: a read of that version may have begun after those that were waited for.
      const now = txn.get(garbageKey(hash));
      if (!now || Buffer.compare(now, queued) !== 0) return false;
      txn.remove(garbageKey(hash));
      if (txn.scan(refRange(hash)).length > 0) return false;
      const row = txn.record<ChunkRow>(chunkKey(hash));
      if (!row) return false;
      txn.remove(chunkKey(hash));
      effects.freed.push(row.locator);
      releaseEntries({ txn, effects }, children, refOwner.node(hash));
      return true;
    },
  });
}

const refRange = (hash: ChunkHash): MetaRange => ({ space: 'refs', ...tupleRange(refPrefix(hash)), limit: 1 });

/** What a manifest node refers to; nothing for data chunks and parts tables. */
async function nodeChildren({ reader, chunkStore }: GarbageDeps, hash: ChunkHash): Promise<readonly ManifestEntry[]> {
  const [value] = await reader.get([chunkKey(hash)]);
  const row = value && decodeRecord<ChunkRow>(value);
  if (row?.kind !== 'node') return [];
  const entries: unknown = JSON.parse(Buffer.from(await chunkStore.read(row.locator)).toString('utf8'));
  if (!Array.isArray(entries)) throw new SkerryError('Corrupt', `manifest node ${hash} is not a list`);
  return entries as ManifestEntry[];
}
