/**
 * What replicates, one entity at a time in one order: buckets, then for each key the tombstone of its null version, its other
 * versions newest first (each live or removed), its null versions, then registers. A site serves a snapshot in this order,
 * and a site that merges one reads its own entities in the same order beside it: what one has at a position and the other
 * lacks is decided there (rule 15).
 */
import type { MetaKey, MetaReader, MetaRow, Stamp } from '../contracts/index.ts';
import { bucketLeaf, leafRow, registerLeaf } from './digest.ts';
import {
  bucketKey,
  bucketOf,
  bucketTombstoneKey,
  bucketTombstonePrefix,
  counterKey,
  digestKey,
  headKey,
  parseTombstoneKey,
  parseVersionKey,
  registerKey,
  tombstoneKey,
  tombstonePrefix,
  tupleRange,
  versionKey,
  versionPrefix,
} from './keys.ts';
import { bareVersion } from './key-state.ts';
import {
  decodeRecord,
  type BucketRecord,
  type BucketTombstone,
  type ConflictRecord,
  type HeadRecord,
  type Register,
  type TombstoneRecord,
  type VersionRecord,
} from './records.ts';
import { RowCursor } from './row-cursor.ts';

export interface BucketEntity {
  readonly kind: 'bucket';
  readonly bucket: string;
  /** Also of one that was removed and is remembered. */
  readonly record: BucketRecord;
}

export interface TombstoneEntity {
  readonly kind: 'tombstone';
  readonly bucket: string;
  readonly key: string;
  /** The removed version; `null`: the null-version register. */
  readonly target: Stamp | null;
  readonly tombstone: CutTombstone;
}

/** A removal; with `kept` a tentative one, with `removals` several of them (as in `TombstoneRecord`). */
export type CutTombstone = Omit<TombstoneRecord, 'conflicts' | 'kept'> & {
  /** Without what only the serving site knows. */
  readonly kept?: CutVersion;
};

export type CutVersion = Omit<VersionRecord, 'local'>;

export interface VersionEntity {
  readonly kind: 'version';
  readonly bucket: string;
  readonly key: string;
  /** Without what only the serving site knows. */
  readonly version: CutVersion;
  /** False: it lost the null-version register to one that it was not seen by. */
  readonly live: boolean;
  /** A later put of the key has seen it. */
  readonly seen: boolean;
}

export interface RegisterEntity {
  readonly kind: 'register';
  /** `principal`, `policy`, `member`. */
  readonly of: string;
  readonly id: string;
  readonly register: Register;
}

export type CutEntity = BucketEntity | TombstoneEntity | VersionEntity | RegisterEntity;

/** Where an entity stands in the order: base64url of bytes that compare as the order does. */
export type CutPosition = string;

const BUCKETS = 1;
const OBJECTS = 2;
const REGISTERS = 3;
/**
 * Within a key, in this order: the removal comes before what it removes, so that it need not be undone. A version that was
 * removed stands where it would if it lived: whether it does is one question.
 */
const NULL_TOMBSTONE = 1;
const VERSIONS = 2;
const NULL_VERSIONS = 3;
/** Past everything that follows a key in a row key. */
const KEY_END = Buffer.of(0xff);
const START = Buffer.of(0);
const NOTHING = Buffer.alloc(0);

export const decodePosition = (position: CutPosition): Buffer => Buffer.from(position, 'base64url');
export const encodePosition = (position: Uint8Array): CutPosition => Buffer.from(position).toString('base64url');

export function positionOf(entity: CutEntity): Buffer {
  switch (entity.kind) {
    case 'bucket':
      return Buffer.concat([Buffer.of(BUCKETS), bucketKey(entity.bucket).key]);
    case 'register':
      return Buffer.concat([Buffer.of(REGISTERS), Buffer.from(`${entity.of}\0${entity.id}`)]);
    case 'tombstone':
      return entity.target === null ? inKey(entity, NULL_TOMBSTONE) : inKey(entity, VERSIONS, entity.target);
    case 'version': {
      const { nullVersion, stamp } = entity.version;
      return inKey(entity, nullVersion ? NULL_VERSIONS : VERSIONS, stamp);
    }
  }
}

function inKey({ bucket, key }: ObjectKey, slot: number, stamp?: Stamp): Buffer {
  const prefix = versionPrefix(bucket, key);
  const suffix = stamp === undefined ? NOTHING : versionKey(bucket, key, stamp).key.subarray(prefix.length);
  return Buffer.concat([Buffer.of(OBJECTS), prefix, Buffer.of(slot), suffix]);
}

/** All entities after a position. The reader must be a snapshot: an entity is read from several rows. */
export async function* readEntities(reader: MetaReader, after?: Uint8Array): AsyncGenerator<CutEntity> {
  const section = after?.[0] ?? BUCKETS;
  if (section <= BUCKETS) yield* pastPosition(bucketEntities(reader), after);
  if (section <= OBJECTS)
    yield* pastPosition(objectEntities(reader, section === OBJECTS ? after?.subarray(1) : undefined), after);
  yield* pastPosition(registerEntities(reader, section === REGISTERS ? after?.subarray(1) : undefined), after);
}

/** Everything of one key. The reader must be a snapshot. */
export async function* keyEntities(
  reader: MetaReader,
  bucket: string,
  key: string,
): AsyncGenerator<TombstoneEntity | VersionEntity> {
  for await (const entity of objectEntities(reader, versionPrefix(bucket, key))) {
    if (entity.bucket !== bucket || entity.key !== key) return;
    yield entity;
  }
}

async function* pastPosition<E extends CutEntity>(
  entities: AsyncGenerator<E>,
  after: Uint8Array | undefined,
): AsyncGenerator<E> {
  for await (const entity of entities) {
    if (after === undefined || Buffer.compare(positionOf(entity), after) > 0) yield entity;
  }
}

async function* rowsFrom(cursor: RowCursor): AsyncGenerator<MetaRow> {
  for (let row = await cursor.peek(); row; row = await cursor.peek()) {
    yield row;
    cursor.next();
  }
}

/** Buckets are few: every page that begins among them reads them from the start. */
async function* bucketEntities(reader: MetaReader): AsyncGenerator<BucketEntity> {
  const prefix = bucketTombstonePrefix();
  const found = new Map<string, BucketRecord>();
  for await (const { key, value } of rowsFrom(cursorOver(reader, 'buckets', START)))
    found.set(Buffer.from(key).toString('utf8'), decodeRecord<BucketRecord>(value));
  for await (const { key, value } of rowsFrom(cursorOver(reader, 'tombstones', prefix, tupleRange(prefix).to)))
    found.set(Buffer.from(key.subarray(prefix.length)).toString('utf8'), decodeRecord<BucketTombstone>(value).bucket);
  // bucket names are ASCII, for which the order of strings is that of bytes
  for (const [bucket, record] of [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    yield { kind: 'bucket', bucket, record };
}

async function* registerEntities(reader: MetaReader, after: Uint8Array = START): AsyncGenerator<RegisterEntity> {
  for await (const { key, value } of rowsFrom(cursorOver(reader, 'registers', after))) {
    const text = Buffer.from(key).toString('utf8');
    const end = text.indexOf('\0');
    const register = decodeRecord<Register>(value);
    yield { kind: 'register', of: text.slice(0, end), id: text.slice(end + 1), register };
  }
}

type Space = 'heads' | 'versions' | 'conflicts' | 'tombstones' | 'buckets' | 'registers';

function cursorOver(reader: MetaReader, space: Space, from: Uint8Array, to?: Uint8Array): RowCursor {
  return new RowCursor(reader, { space, from, to, batch: 64 });
}

interface ObjectKey {
  readonly bucket: string;
  readonly key: string;
}

const objectOf: Readonly<Record<'heads' | 'versions' | 'conflicts' | 'tombstones', (row: Uint8Array) => ObjectKey>> = {
  heads: splitHead,
  versions: splitVersion,
  conflicts: splitVersion,
  tombstones: parseTombstoneKey,
};

function splitHead(row: Uint8Array): ObjectKey {
  const bucket = bucketOf(row);
  return { bucket, key: Buffer.from(row.subarray(Buffer.byteLength(bucket) + 1)).toString('utf8') };
}

function splitVersion(row: Uint8Array): ObjectKey {
  const bucket = bucketOf(row);
  return { bucket, key: parseVersionKey(bucket, row).key.toString('utf8') };
}

/** The four spaces that describe object keys, read side by side. */
class ObjectRows {
  readonly heads: RowCursor;
  readonly versions: RowCursor;
  readonly conflicts: RowCursor;
  readonly tombstones: RowCursor;

  constructor(reader: MetaReader, after: Uint8Array | undefined) {
    const start = after ? startOf(after) : undefined;
    const removed = tombstonePrefix();
    const { to } = tupleRange(removed);
    this.heads = cursorOver(reader, 'heads', start?.head ?? START);
    this.versions = cursorOver(reader, 'versions', start?.rows ?? START);
    this.conflicts = cursorOver(reader, 'conflicts', start?.prefix ?? START);
    this.tombstones = cursorOver(reader, 'tombstones', Buffer.concat([removed, start?.rows ?? START]), to);
  }

  /** The smallest key that any of them has a row of. */
  async key(): Promise<ObjectKey | undefined> {
    let first: { readonly object: ObjectKey; readonly prefix: Buffer } | undefined;
    for (const name of ['heads', 'versions', 'conflicts', 'tombstones'] as const) {
      const row = await this[name].peek();
      if (!row) continue;
      const object = objectOf[name](row.key);
      const prefix = versionPrefix(object.bucket, object.key);
      if (!first || Buffer.compare(prefix, first.prefix) < 0) first = { object, prefix };
    }
    return first?.object;
  }

  /** Rows of one key, passed over as they are taken. */
  async *take(
    name: 'heads' | 'versions' | 'conflicts' | 'tombstones',
    { bucket, key }: ObjectKey,
  ): AsyncGenerator<MetaRow> {
    for (let row = await this[name].peek(); row; row = await this[name].peek()) {
      const object = objectOf[name](row.key);
      if (object.bucket !== bucket || object.key !== key) return;
      this[name].next();
      yield row;
    }
  }
}

/** Where to go on in each space after a position: in the middle of a key that has very many rows, too. */
function startOf(after: Uint8Array): Readonly<Record<'head' | 'prefix' | 'rows', Uint8Array>> {
  const { bucket, key } = splitVersion(after);
  const prefix = versionPrefix(bucket, key);
  const slot = after[prefix.length] ?? 0;
  const rest = after.subarray(prefix.length + 1);
  const end = Buffer.concat([prefix, KEY_END]);
  const rows = slot < VERSIONS ? prefix : slot > VERSIONS ? end : Buffer.concat([prefix, rest, Buffer.of(0)]);
  return { head: headKey(bucket, key).key, prefix, rows };
}

async function* objectEntities(
  reader: MetaReader,
  after: Uint8Array | undefined,
): AsyncGenerator<TombstoneEntity | VersionEntity> {
  const rows = new ObjectRows(reader, after);
  for (let object = await rows.key(); object; object = await rows.key()) yield* entitiesOf(reader, rows, object);
}

async function* entitiesOf(
  reader: MetaReader,
  rows: ObjectRows,
  object: ObjectKey,
): AsyncGenerator<TombstoneEntity | VersionEntity> {
  const open = new Map<Stamp, ConflictRecord>();
  for await (const { value } of rows.take('conflicts', object)) {
    const record = decodeRecord<ConflictRecord>(value);
    open.set(record.stamp, record);
  }
  let head: HeadRecord | undefined;
  for await (const { value } of rows.take('heads', object)) head = decodeRecord<HeadRecord>(value);
  yield* inOrder<TombstoneEntity | VersionEntity>(tombstonesOf(rows, object), versionsOf(rows, object, head, open));
  if (head?.nullVersion) yield live(object, head, head.seen === true);
  else if (head?.nullStamp) yield* olderNull(reader, object, head.nullStamp, !open.has(head.nullStamp));
  for (const { loser } of open.values()) if (loser) yield { ...live(object, loser, false), live: false };
}

async function* tombstonesOf(rows: ObjectRows, object: ObjectKey): AsyncGenerator<TombstoneEntity> {
  for await (const { key, value } of rows.take('tombstones', object)) {
    const { conflicts: _, kept, ...removal } = decodeRecord<TombstoneRecord>(value);
    const tombstone: CutTombstone = kept ? { ...removal, kept: withoutLocal(kept) } : removal;
    yield { kind: 'tombstone', ...object, target: parseTombstoneKey(key).target, tombstone };
  }
}

/** Live ones that are no null versions, newest first. */
async function* versionsOf(
  rows: ObjectRows,
  object: ObjectKey,
  head: HeadRecord | undefined,
  open: ReadonlyMap<Stamp, ConflictRecord>,
): AsyncGenerator<VersionEntity> {
  if (head && !head.nullVersion) yield live(object, head, head.seen === true);
  for await (const { value } of rows.take('versions', object)) {
    const version = decodeRecord<VersionRecord>(value);
    if (!version.nullVersion) yield live(object, version, !open.has(version.stamp));
  }
}

/** Two streams, each in the order of positions, as one. */
async function* inOrder<E extends CutEntity>(left: AsyncGenerator<E>, right: AsyncGenerator<E>): AsyncGenerator<E> {
  let [a, b] = [await left.next(), await right.next()];
  for (;;) {
    if (!a.done && (b.done || Buffer.compare(positionOf(a.value), positionOf(b.value)) < 0)) {
      yield a.value;
      a = await left.next();
    } else if (!b.done) {
      yield b.value;
      b = await right.next();
    } else {
      return;
    }
  }
}

async function* olderNull(
  reader: MetaReader,
  object: ObjectKey,
  stamp: Stamp,
  seen: boolean,
): AsyncGenerator<VersionEntity> {
  const [value] = await reader.get([versionKey(object.bucket, object.key, stamp)]);
  if (value) yield live(object, decodeRecord<VersionRecord>(value), seen);
}

function live(object: ObjectKey, record: HeadRecord, seen: boolean): VersionEntity {
  return { kind: 'version', ...object, version: withoutLocal(bareVersion(record)), live: true, seen };
}

function withoutLocal({ local: _, ...version }: VersionRecord): CutVersion {
  return version;
}

/** Rows that deciding on an entity reads. */
export function readsOf(entity: CutEntity): readonly MetaKey[] {
  switch (entity.kind) {
    case 'bucket':
      return [
        bucketKey(entity.bucket),
        bucketTombstoneKey(entity.bucket),
        counterKey(entity.bucket),
        digestKey(bucketLeaf(entity.bucket)),
      ];
    case 'register':
      return [registerKey(entity.of, entity.id), digestKey(registerLeaf(entity.of, entity.id))];
    case 'tombstone':
      return objectReads(entity, entity.target);
    case 'version':
      return objectReads(entity, entity.version.stamp);
  }
}

function objectReads({ bucket, key }: ObjectKey, stamp: Stamp | null): readonly MetaKey[] {
  const one = stamp === null ? [] : [versionKey(bucket, key, stamp), tombstoneKey(bucket, key, stamp)];
  const counted = [counterKey(bucket), bucketKey(bucket), bucketTombstoneKey(bucket), leafRow(bucket, key)];
  return [headKey(bucket, key), ...counted, tombstoneKey(bucket, key, null), ...one];
}
