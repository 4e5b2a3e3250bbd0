/**
 * Whether a site's state is what its commits made of it (rule 16): the digest and the counters that commits keep, against those
 * counted from the rows. What is reported are differences that stay the same while writes go on, so that a long count need
 * not stop them: a commit changes what is kept and what is counted alike.
 */
import { SkerryError, type MetaReader, type MetaStore, type VersionVector } from '../contracts/index.ts';
import { readClock } from './clock-row.ts';
import { keyEntities, readEntities, type CutEntity } from './cut-entities.ts';
import { digestLeaves, digestOf, type DigestLeaves, type EntityDigest, type EntityPath } from './digest-tree.ts';
import { isZero, toggled, type Digest } from './digest.ts';
import { NO_COUNTS, addUp } from './heads.ts';
import { bucketKey, bucketOf, bucketTombstoneKey, registerKey } from './keys.ts';
import {
  decodeRecord,
  type BucketRecord,
  type BucketTombstone,
  type CounterRecord,
  type HeadRecord,
  type Register,
} from './records.ts';
import { scanPages } from './scan-pages.ts';

/** What is kept less what is counted. */
export interface Discrepancies {
  /** By leaf; XOR of the two. */
  readonly leaves: ReadonlyMap<number, Digest>;
  /** By bucket; what is to be added to the counters. */
  readonly counters: ReadonlyMap<string, CounterRecord>;
}

export interface AuditCount extends Discrepancies {
  /** Versions, buckets and registers that the digest covers. */
  readonly entities: number;
}

/** Leaves as commits kept them, and the vector of the same moment. */
export interface DigestReading {
  readonly vector: VersionVector;
  readonly leaves: DigestLeaves;
}

/** The vector comes first; `looking` now and then, when nothing was found for a while. */
export type LeafReading =
  | { readonly kind: 'vector'; readonly vector: VersionVector }
  | { readonly kind: 'entity'; readonly entity: EntityDigest }
  | { readonly kind: 'looking' };

/** Told now and then while everything is read. */
export type OnCounted = (entities: number) => void;

const PAGE = 1000;
const TELL_EVERY = 10_000;
/** Entities of one answer. */
const WHOLE_MAX = 20_000;

/** `Aborted` once the signal has. */
export function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new SkerryError('Aborted', 'the check was aborted', { cause: signal.reason });
}

type Snapshots = Pick<MetaStore, 'snapshot'>;

export async function readDigest(metaStore: Snapshots): Promise<DigestReading> {
  await using snapshot = await metaStore.snapshot();
  return { vector: await settledVector(snapshot), leaves: await digestLeaves(snapshot) };
}

/** `Unavailable` while a snapshot of a peer is merged: what is here then is of no vector. */
async function settledVector(reader: MetaReader): Promise<VersionVector> {
  const { vector, merging } = await readClock(reader);
  if (merging) throw new SkerryError('Unavailable', 'a snapshot is being merged: there is no digest until it is in');
  return vector;
}

/** Reads the whole state, in one snapshot. */
export async function countState(
  metaStore: Snapshots,
  onCounted: OnCounted = () => undefined,
  signal?: AbortSignal,
): Promise<AuditCount> {
  await using snapshot = await metaStore.snapshot();
  const sums = new Map<number, Digest>();
  const counters = new Map<string, CounterRecord>();
  let entities = 0;
  for await (const entity of readEntities(snapshot)) {
    refuseAborted(signal);
    const found = await digestOf(snapshot, entity);
    if (!found) continue;
    sums.set(found.leaf, toggled(sums.get(found.leaf), Buffer.from(found.digest, 'hex')));
    if (entity.kind === 'version') addTo(counters, entity.bucket, countsOf(entity));
    if (++entities % TELL_EVERY === 0) onCounted(entities);
  }
  await addHeads(snapshot, counters);
  onCounted(entities);
  return {
    entities,
    leaves: differenceOf(await digestLeaves(snapshot), sums),
    counters: await counterDifference(snapshot, counters),
  };
}

function differenceOf(kept: DigestLeaves, counted: Map<number, Digest>): ReadonlyMap<number, Digest> {
  for (const [leaf, digest] of kept) counted.set(leaf, toggled(counted.get(leaf), Buffer.from(digest, 'hex')));
  return new Map([...counted].filter(([, digest]) => !isZero(digest)));
}

function countsOf({ version, live }: Extract<CutEntity, { kind: 'version' }>): CounterRecord {
  if (!live) return { ...NO_COUNTS, losers: 1 };
  return { ...NO_COUNTS, versions: 1, versionBytes: version.content?.size ?? 0 };
}

function addTo(counters: Map<string, CounterRecord>, bucket: string, delta: CounterRecord): void {
  counters.set(bucket, addUp(counters.get(bucket) ?? NO_COUNTS, delta));
}

async function addHeads(reader: MetaReader, counters: Map<string, CounterRecord>): Promise<void> {
  for await (const rows of scanPages(reader, { space: 'heads', limit: PAGE }))
    for (const { key, value } of rows) {
      const { marker, content } = decodeRecord<HeadRecord>(value);
      addTo(counters, bucketOf(key), { ...NO_COUNTS, objects: marker ? 0 : 1, objectBytes: content?.size ?? 0 });
    }
}

async function counterDifference(
  reader: MetaReader,
  counted: Map<string, CounterRecord>,
): Promise<ReadonlyMap<string, CounterRecord>> {
  for await (const rows of scanPages(reader, { space: 'counters', limit: PAGE }))
    for (const { key, value } of rows)
      addTo(counted, Buffer.from(key).toString('utf8'), negated(decodeRecord<CounterRecord>(value)));
  return new Map([...counted].filter(([, counts]) => Object.values(counts).some((count) => count !== 0)));
}

function negated({ objects, objectBytes, versions, versionBytes, losers = 0 }: CounterRecord): CounterRecord {
  return {
    objects: -objects,
    objectBytes: -objectBytes,
    versions: -versions,
    versionBytes: -versionBytes,
    losers: -losers,
  };
}

/** Entities of these leaves, by a scan of the whole state in one snapshot, which is open until the end or `return`. */
export async function* readLeafEntities(
  metaStore: Snapshots,
  leaves: ReadonlySet<number>,
  signal?: AbortSignal,
): AsyncGenerator<LeafReading> {
  await using snapshot = await metaStore.snapshot();
  yield { kind: 'vector', vector: await settledVector(snapshot) };
  let passed = 0;
  for await (const entity of readEntities(snapshot)) {
    refuseAborted(signal);
    const found = await digestOf(snapshot, entity);
    if (found && leaves.has(found.leaf)) yield { kind: 'entity', entity: found };
    else if (++passed % TELL_EVERY === 0) yield { kind: 'looking' };
  }
}

/** What is known of each of these, whole: for a version everything of its key. */
export async function readWhole(
  metaStore: Snapshots,
  paths: readonly EntityPath[],
): Promise<{ readonly vector: VersionVector; readonly entities: readonly CutEntity[] }> {
  await using snapshot = await metaStore.snapshot();
  const entities: CutEntity[] = [];
  for (const path of paths)
    for await (const entity of wholeOf(snapshot, path)) {
      if (entities.length >= WHOLE_MAX)
        throw new SkerryError('TooLarge', `more than ${WHOLE_MAX} entities: ask for fewer objects`);
      entities.push(entity);
    }
  return { vector: await settledVector(snapshot), entities };
}

async function* wholeOf(reader: MetaReader, path: EntityPath): AsyncGenerator<CutEntity> {
  switch (path.kind) {
    case 'version':
      return yield* keyEntities(reader, path.bucket, path.key);
    case 'bucket': {
      const { bucket } = path;
      const [row, removed] = await reader.get([bucketKey(bucket), bucketTombstoneKey(bucket)]);
      if (row) yield { kind: 'bucket', bucket, record: decodeRecord<BucketRecord>(row) };
      else if (removed) yield { kind: 'bucket', bucket, record: decodeRecord<BucketTombstone>(removed).bucket };
      return;
    }
    case 'register': {
      const { of, id } = path;
      const [row] = await reader.get([registerKey(of, id)]);
      if (row) yield { kind: 'register', of, id, register: decodeRecord<Register>(row) };
    }
  }
}
