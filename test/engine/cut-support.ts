/** Sites in miniature that give each other snapshots. */
import * as fc from 'fast-check';
import type { MetaStore, Op, Origin, Stamp, VersionVector } from '../../core/contracts/index.ts';
import { createCommitter, type Committer, type CommitterDeps } from '../../core/engine/committer.ts';
import { mergeCut, type CutSource } from '../../core/engine/merge-cut.ts';
import { openCut } from '../../core/engine/snapshot.ts';
import { stampDot } from '../../core/engine/stamp.ts';
import { ledgerSyncs } from '../../core/engine/sync-ledger.ts';
import { nodeTimers } from '../../core/kernel/runtime/timers.ts';
import { FakeChunkStore, silentLogger } from './fake-stores.ts';
import { history, steps } from './histories.ts';
import { Author } from './support.ts';

export const CLOCK = { wallMs: () => 1000, monotonicMs: () => 1000 };
export const MAX_CLOCK_DRIFT_MS = 60_000;

export function committerOf(
  metaStore: MetaStore,
  origin: Origin = 'd.0123456789abcdef',
  given: Partial<CommitterDeps> = {},
): Committer {
  return createCommitter({
    metaStore,
    chunkStore: ledgerSyncs(new FakeChunkStore()),
    clock: CLOCK,
    timers: nodeTimers,
    logger: silentLogger,
    origin,
    onCommitted: () => {},
    maxClockDriftMs: MAX_CLOCK_DRIFT_MS,
    ...given,
  });
}

export interface CutOptions {
  readonly cutId?: string;
  readonly pageEntities?: number;
  readonly batchEntities?: number;
  /** What the reader has: a site that is half filled with that may be read. */
  readonly knows?: VersionVector;
  /** Throws before the page of this number is given, as a broken link does. */
  readonly breaksAt?: number;
}

/** A snapshot of one store as another reads it, over the wire's JSON. */
export async function sourceOf(store: MetaStore, options: CutOptions = {}): Promise<CutSource & AsyncDisposable> {
  const pinned = await openCut(store, options.knows);
  let pages = 0;
  return {
    cut: { cutId: options.cutId ?? 'cut', ...pinned.cut },
    async page(after, { maxEntities, maxBytes }) {
      if (pages++ === options.breaksAt) throw new Error('the link broke');
      const page = await pinned.page(after, { maxEntities: options.pageEntities ?? maxEntities, maxBytes });
      return JSON.parse(JSON.stringify(page)) as typeof page;
    },
    [Symbol.asyncDispose]: () => pinned[Symbol.asyncDispose](),
  };
}

/** Merges a snapshot of `from` into `to`. */
export async function mergeInto(to: MetaStore, from: MetaStore, options: CutOptions = {}): Promise<void> {
  await using source = await sourceOf(from, options);
  await mergeFrom(to, source, options);
}

export async function mergeFrom(to: MetaStore, source: CutSource, options: CutOptions = {}): Promise<void> {
  const committer = committerOf(to);
  const { batchEntities } = options;
  const deps = { metaStore: to, committer, clock: CLOCK, maxClockDriftMs: MAX_CLOCK_DRIFT_MS };
  try {
    await mergeCut(batchEntities === undefined ? deps : { ...deps, batchEntities }, source);
  } finally {
    await committer.close();
  }
}

/** The ops of a history of one key, spread over several keys: each op follows the version that it names. */
export function spread(ops: readonly Op[], keys: readonly string[]): readonly Op[] {
  const keyOf = (stamp: Stamp): string => keys[stampDot(stamp).seq % keys.length] as string;
  return ops.map((op) => {
    const { body } = op;
    if (!('key' in body)) return op;
    const target = 'target' in body && body.target !== null ? body.target : op.stamp;
    return { ...op, body: { ...body, key: keyOf(target) } };
  });
}

/** One starts as another does, one holds the separator of the keys of rows, one is not ASCII. */
export const KEYS: readonly string[] = ['k', 'a\0b', 'a', 'ä'];

/** Histories of some of `KEYS`. */
export const keyHistories: fc.Arbitrary<() => Promise<readonly Op[]>> = fc
  .tuple(steps(50), fc.integer({ min: 1, max: KEYS.length }))
  .map(
    ([plan, keys]) =>
      async () =>
        spread(history(plan), KEYS.slice(0, keys)),
  );

/** Some of the ops, in an order in which a site may have applied them: what it knows is causally closed. */
export function someOf(ops: readonly Op[], count: number, picks: Iterable<number>): readonly Op[] {
  const observer = new Author('observer');
  const order: Op[] = [];
  for (const pick of picks) {
    const ready = ops.filter((op) => observer.mayApply(op));
    const next = ready[pick % Math.max(1, ready.length)];
    if (!next || order.length >= count) break;
    observer.see(next);
    order.push(next);
  }
  return order;
}

/** The rest of `ops` in the order given, after those that a site has. */
export function restOf(ops: readonly Op[], vector: VersionVector): readonly Op[] {
  return ops.filter(({ dot }) => (vector[dot.origin] ?? 0) < dot.seq);
}
