/**
 * Background collection of shared chunks that lost a holder. Candidates are rows of the garbage queue, written in the same
 * transaction that let go; a candidate that nobody holds loses its row and its bytes. Restartable at any point.
 */
import {
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
import { chunkKey, garbageKey, garbagePrefix, refHash, refKey, refOwner, refPrefix, tupleRange } from './keys.ts';
import { parseEntries } from './manifest.ts';
import type { Pins } from './pins.ts';
import type { Reclaimer } from './reclaim.ts';
import { decodeRecord, type ChunkRow } from './records.ts';
import { scanPages } from './scan-pages.ts';

const BATCH = 100;
const PAGE = 1000;
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
  let following: Promise<number> | undefined;

  /** A pass that is under way may be past what was let go of meanwhile: whoever asks during one has the next. */
  function run(): Promise<number> {
    if (following) return following;
    if (!running) return begin();
    return (following = running.catch(() => 0).then(begin));
  }

  function begin(): Promise<number> {
    following = undefined;
    running = collect(deps, stop.signal).finally(() => (running = undefined));
    return running;
  }

  function wake(): void {
    if (stop.signal.aborted || timer) return;
    timer = deps.timers.after(DELAY_MS, passSoon, { unref: true });
  }

  function passSoon(): void {
    timer = undefined;
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
      await (following ?? running)?.catch(() => undefined); // whoever asked for it has the failure
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

type Held = Pick<ManifestEntry, 'hash'>;

/** What a manifest node refers to; nothing for data chunks. One that cannot be read must not hold up the others: the rows tell. */
async function nodeChildren({ reader, chunkStore }: GarbageDeps, hash: ChunkHash): Promise<readonly Held[]> {
  const [value] = await reader.get([chunkKey(hash)]);
  const row = value && decodeRecord<ChunkRow>(value);
  if (row?.kind !== 'node') return [];
  const entries = await chunkStore.read(row.locator).then(parseEntries, (error: unknown) => {
    if (isSkerryError(error, 'Corrupt') || isSkerryError(error, 'NotFound')) return undefined;
    throw error;
  });
  return entries ?? heldBy(reader, refOwner.node(hash));
}

/** By reading the rows of all holders. */
async function heldBy(reader: MetaReader, owner: string): Promise<readonly Held[]> {
  const held: Held[] = [];
  for await (const rows of scanPages(reader, { space: 'refs', limit: PAGE }))
    for (const { key } of rows) {
      const hash = refHash(key);
      if (Buffer.compare(refKey(hash, owner).key, key) === 0) held.push({ hash });
    }
  return held;
}
