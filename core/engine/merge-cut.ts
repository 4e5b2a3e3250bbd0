/**
 * Merging a peer's snapshot into this site, empty or not (rule 15): batch by batch in the order of positions, each batch in
 * one transaction with the progress; the vector moves at the end. What is here already, written meanwhile or removed
 * there meets by the rules of merge-entity.ts. A crash goes on where it was, with the same cut or a later one.
 */
import { SkerryError, type Clock, type MetaStore, type SiteId, type VersionVector } from '../contracts/index.ts';
import type { CommitContext, Committer } from './committer.ts';
import {
  decodePosition,
  encodePosition,
  positionOf,
  readEntities,
  readsOf,
  type CutEntity,
  type CutPosition,
} from './cut-entities.ts';
import { hlcWallMs, mergeHlc } from './hlc.ts';
import { mergingKey, trimmedKey } from './keys.ts';
import { mergeEntity, sweepEntity } from './merge-entity.ts';
import { decodeRecord, type ClockRecord, type MergingRecord, type Visibility } from './records.ts';
import type { CutPage, CutPageLimit, OpenedCut } from './snapshot.ts';
import { decideTogether } from './txn.ts';
import { EMPTY_VECTOR, coversVector, joinVectors, seqOf } from './vector.ts';

/** A peer's snapshot as this site reads it. */
export interface CutSource {
  readonly cut: OpenedCut;
  /** Remembered with the progress. */
  readonly from?: SiteId;
  readonly joining?: true;
  page(after: CutPosition | undefined, limit: CutPageLimit): Promise<CutPage>;
}

export interface MergeCutDeps {
  readonly metaStore: MetaStore;
  readonly committer: Committer;
  readonly clock: Clock;
  readonly maxClockDriftMs: number;
  /** Entities of one transaction; default 200. */
  readonly batchEntities?: number;
  /** When versions are shown whose bytes have to be fetched first; default `complete`. */
  readonly visibility?: Visibility;
}

const BATCH_ENTITIES = 200;
const PAGE_BYTES = 4 * 1024 * 1024;

/** The snapshot that this site is in the middle of; `undefined` when none. While there is one it reports no watermark. */
export async function mergeInProgress({
  metaStore,
}: Pick<MergeCutDeps, 'metaStore'>): Promise<MergingRecord | undefined> {
  const [row] = await metaStore.get([mergingKey]);
  return row && decodeRecord<MergingRecord>(row);
}

/**
 * Resolves when the site covers the cut, durably. Rejects `ClockUntrusted` when the cut is from the future, `Conflict` when an
 * earlier snapshot is half merged that this one does not cover (merge that one, or a later one, first), `Aborted`, and
 * whatever the source rejects with; then it may be called again.
 */
export async function mergeCut(deps: MergeCutDeps, source: CutSource, signal?: AbortSignal): Promise<void> {
  const maxEntities = deps.batchEntities ?? BATCH_ENTITIES;
  let position = await begin(deps, source);
  for (let isLast = false; !isLast;) {
    if (signal?.aborted) throw new SkerryError('Aborted', 'merging a snapshot was aborted');
    const page = await source.page(position, { maxEntities, maxBytes: PAGE_BYTES });
    for (let isMerged = false; !isMerged;) {
      const batch = await nextBatch(deps, page, position, maxEntities);
      await mergeBatch(deps, source, batch);
      position = batch.to ?? position;
      isMerged = batch.isWholePage;
    }
    isLast = page.to === undefined;
  }
  await finish(deps, source.cut);
}

function begin({ committer, maxClockDriftMs }: MergeCutDeps, source: CutSource): Promise<CutPosition | undefined> {
  const { cut } = source;
  return committer.commit({
    reads: { keys: [mergingKey] },
    appended: [],
    decide({ txn, nowMs, clock, moveClock }) {
      if (hlcWallMs(cut.hlc) > nowMs + maxClockDriftMs)
        throw new SkerryError('ClockUntrusted', 'the snapshot comes from a clock too far ahead of this one', {
          details: { hlc: cut.hlc, wallMs: nowMs },
        });
      const known = txn.record<MergingRecord>(mergingKey);
      if (known?.cutId === cut.cutId) return known.position;
      if (known && !coversVector(cut.vector, known.vector))
        throw new SkerryError(
          'Conflict',
          'an earlier snapshot is half merged, and this one does not cover it: merge a later one of the same peer',
          { details: { half: known.vector, offered: cut.vector } },
        );
      txn.put(mergingKey, progressOf(source));
      // The clock first: what this site writes from now on is later than all that it may see of the cut.
      moveClock({ ...clock(), hlc: mergeHlc(clock().hlc, cut.hlc), merging: cut.vector });
      return undefined;
    },
  });
}

function progressOf({ cut: { cutId, vector }, from, joining }: CutSource, position?: CutPosition): MergingRecord {
  return {
    cutId,
    vector,
    ...(from === undefined ? {} : { from }),
    ...(joining ? { joining } : {}),
    ...(position === undefined ? {} : { position }),
  };
}

interface Batch {
  /** In order of position: what the snapshot has, and what only this site has. */
  readonly entities: readonly { readonly entity: CutEntity; readonly isTheirs: boolean }[];
  readonly to: CutPosition | undefined;
  readonly isWholePage: boolean;
}

interface Placed {
  readonly entity: CutEntity;
  readonly at: Buffer;
}

/** What is left of a page after `after`, with this site's own entities in between; cut short when those are very many. */
async function nextBatch(
  { metaStore }: MergeCutDeps,
  page: CutPage,
  after: CutPosition | undefined,
  max: number,
): Promise<Batch> {
  const from = after === undefined ? undefined : decodePosition(after);
  const pageEnd = page.to === undefined ? undefined : decodePosition(page.to);
  const mine = await readMine(metaStore, from, pageEnd, max);
  const isWholePage = mine.length < max;
  const end = isWholePage ? pageEnd : mine.at(-1)?.at;
  const theirs = page.entities
    .map((entity): Placed => ({ entity, at: positionOf(entity) }))
    .filter(({ at }) => (!from || Buffer.compare(at, from) > 0) && (!end || Buffer.compare(at, end) <= 0));
  const known = new Set(theirs.map(({ at }) => at.toString('latin1')));
  const onlyMine = mine.filter(({ at }) => !known.has(at.toString('latin1')));
  const entities = [
    ...theirs.map((placed) => ({ ...placed, isTheirs: true })),
    ...onlyMine.map((placed) => ({ ...placed, isTheirs: false })),
  ].toSorted((a, b) => Buffer.compare(a.at, b.at));
  return { entities, to: end && encodePosition(end), isWholePage };
}

async function readMine(
  metaStore: MetaStore,
  from: Buffer | undefined,
  end: Buffer | undefined,
  max: number,
): Promise<readonly Placed[]> {
  await using snapshot = await metaStore.snapshot();
  const mine: Placed[] = [];
  for await (const entity of readEntities(snapshot, from)) {
    const at = positionOf(entity);
    if (end && Buffer.compare(at, end) > 0) break;
    mine.push({ entity, at });
    if (mine.length >= max) break;
  }
  return mine;
}

function mergeBatch(
  { committer, visibility }: MergeCutDeps,
  source: CutSource,
  { entities, to }: Batch,
): Promise<void> {
  const { cut } = source;
  return committer.commit({
    reads: { keys: [mergingKey, ...entities.flatMap(({ entity }) => readsOf(entity))] },
    appended: [],
    decide(context) {
      expectMerging(context, cut);
      const { txn, effects } = context;
      const merge = { txn, effects, own: context.vector(), cut: cut.vector, visibility };
      const together = decideTogether(txn);
      for (const { entity, isTheirs } of entities)
        together.decide(() => (isTheirs ? mergeEntity : sweepEntity)(merge, entity));
      together.end();
      if (to === undefined) return;
      txn.put(mergingKey, progressOf(source, to));
    },
  });
}

/** Several processes may serve one site: only one merge runs. */
function expectMerging({ txn }: CommitContext, { cutId }: OpenedCut): void {
  if (txn.record<MergingRecord>(mergingKey)?.cutId !== cutId)
    throw new SkerryError('Conflict', 'another snapshot is being merged meanwhile');
}

function finish({ committer }: MergeCutDeps, cut: OpenedCut): Promise<void> {
  return committer.commit({
    reads: { keys: [mergingKey, trimmedKey] },
    appended: [],
    decide(context) {
      expectMerging(context, cut);
      const { txn, clock, moveClock } = context;
      const { hlc, vector, letInMs } = clock();
      const trimmed = txn.record<VersionVector>(trimmedKey) ?? EMPTY_VECTOR;
      txn.put(trimmedKey, joinVectors(trimmed, withoutOps(vector, cut.vector)));
      txn.remove(mergingKey);
      const next = { hlc: mergeHlc(hlc, cut.hlc), vector: joinVectors(vector, cut.vector) };
      moveClock((letInMs === undefined ? next : { ...next, letInMs }) satisfies ClockRecord);
    },
  });
}

/** Up to where the oplog here lacks ops of each origin that a snapshot took further. */
function withoutOps(vector: VersionVector, cut: VersionVector): VersionVector {
  return Object.fromEntries(Object.entries(cut).filter(([origin, seq]) => seq > seqOf(vector, origin)));
}
