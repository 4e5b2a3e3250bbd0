/**
 * A survey of the chunk-store against the rows: what is live, what is garbage and why, what is missing or damaged. Changes nothing.
 * Rows are read after the watch on running writes has begun and before the store is scanned: so a record that no row names and
 * that the watch does not know was left behind.
 */
import type {
  ChunkHash,
  GarbageFound,
  GcPlan,
  Locator,
  LostBytes,
  LostFound,
  MetaReader,
  MetaStore,
  Random,
  RecordKind,
  SpaceAmount,
  StoredRecord,
} from '../contracts/index.ts';
import { isSkerryError } from '../contracts/index.ts';
import type { AppendWatch } from './in-flight.ts';
import { chunkKey, lossesKey } from './keys.ts';
import { mismatches, namedRecords, openParts, type NamedRecord } from './live.ts';
import { LocatorFilter } from './locator-filter.ts';
import { decodeRecord, type ChunkRow } from './records.ts';
import { findRecord } from './replica-chunks.ts';
import type { LedgeredChunkStore } from './sync-ledger.ts';

/** Orphans of one survey; should there be more, the next one finds the rest. */
const ORPHANS_MAX = 100_000;
const SAMPLES_MAX = 10;
const LOST_MAX = 100;

export interface SurveyDeps {
  readonly metaStore: MetaStore;
  readonly chunkStore: LedgeredChunkStore;
  readonly random: Random;
}

export interface SurveyOptions {
  readonly signal: AbortSignal;
  /** Called between batches of records, so that a pass in the background leaves room for others. */
  readonly pause: () => Promise<void>;
}

export interface Surveyed {
  /** Without what conflicts hold past their time. */
  readonly plan: GcPlan;
  readonly orphans: readonly Orphan[];
  /** There are more orphans than these. */
  readonly isCut: boolean;
  readonly unreferenced: readonly ChunkHash[];
}

export type Orphan = Pick<StoredRecord, 'locator' | 'length'>;

interface Rows {
  readonly named: LocatorFilter;
  readonly kept: GcPlan['kept'];
  readonly unreferenced: readonly ChunkHash[];
  readonly unreferencedFound: GarbageFound;
  readonly absent: LostFound;
  /** The index was rebuilt, and something was lost. */
  readonly isRepaired: boolean;
}

interface Stored {
  readonly filter: LocatorFilter;
  readonly live: SpaceAmount;
  readonly ops: SpaceAmount;
  readonly inFlight: SpaceAmount;
  readonly orphans: readonly Orphan[];
  readonly orphansFound: GarbageFound;
  /** Damaged records that rows name, and why. */
  readonly damaged: ReadonlyMap<Locator, string>;
  readonly strays: readonly string[];
}

export async function survey(deps: SurveyDeps, options: SurveyOptions): Promise<Surveyed> {
  const salt = Buffer.from(deps.random.bytes(4)).readUInt32LE(0);
  const watch = deps.chunkStore.watch(salt);
  try {
    const rows = await readRows(deps, salt);
    const stored = await readStore(deps, { ...options, rows, watch, salt });
    const { missing, damaged } = await findLost(deps, stored, watch);
    const { kept, unreferenced, unreferencedFound, absent } = rows;
    const { live, ops, inFlight, orphans, orphansFound, strays } = stored;
    const storage = await deps.chunkStore.usage();
    const plan: GcPlan = {
      storage,
      live,
      ops,
      inFlight,
      garbage: {
        orphans: orphansFound,
        unreferenced: unreferencedFound,
        conflictLosers: 0,
        deadBytes: storage.deadBytes,
      },
      kept,
      missing: joinLost(missing, absent),
      damaged,
      strays,
      ...(rows.isRepaired ? { blocked: BLOCKED } : {}),
    };
    return { plan, orphans, isCut: orphansFound.records > orphans.length, unreferenced };
  } finally {
    watch.end();
  }
}

const BLOCKED = 'the index was rebuilt with losses, and a better repair may need what no row names now';

class Tally {
  records = 0;
  bytes = 0;
  readonly samples: string[] = [];

  count(bytes: number, sample?: string): void {
    this.records++;
    this.bytes += bytes;
    if (sample !== undefined && this.samples.length < SAMPLES_MAX) this.samples.push(sample);
  }

  amount(): SpaceAmount {
    return { records: this.records, bytes: this.bytes };
  }

  found(): GarbageFound {
    return { ...this.amount(), samples: this.samples };
  }
}

async function readRows({ metaStore }: SurveyDeps, salt: number): Promise<Rows> {
  await using snapshot = await metaStore.snapshot();
  const named = new LocatorFilter(salt);
  const counts = { conflictLosers: 0, removedVersions: 0, pendingVersions: 0 };
  const records = namedRecords(snapshot, ({ as, record }) => {
    if (as === 'loser') counts.conflictLosers++;
    if (as === 'removed') counts.removedVersions++;
    if (record.local?.pending) counts.pendingVersions++;
  });
  for await (const { locator } of records) named.add(locator);
  const parts = new Tally();
  for await (const { size } of openParts(snapshot)) parts.count(size);
  const [losses] = await snapshot.get([lossesKey]);
  const kept = { ...counts, uploadParts: parts.amount() };
  return { named, kept, isRepaired: losses !== undefined, ...(await checkHolders(snapshot)) };
}

async function checkHolders(
  snapshot: MetaReader,
): Promise<Pick<Rows, 'unreferenced' | 'unreferencedFound' | 'absent'>> {
  const unreferenced: ChunkHash[] = [];
  const found = new Tally();
  const absent: LostBytes[] = [];
  let absentCount = 0;
  for await (const mismatch of mismatches(snapshot)) {
    const { hash } = mismatch;
    if (mismatch.kind === 'unheld') {
      found.count(mismatch.length, hash);
      if (unreferenced.length < ORPHANS_MAX) unreferenced.push(hash);
    } else if (absentCount++ < LOST_MAX) {
      absent.push({ hash, reason: `held by ${mismatch.owner}, and not known here` });
    }
  }
  return { unreferenced, unreferencedFound: found.found(), absent: { count: absentCount, samples: absent } };
}

async function readStore(
  { chunkStore }: SurveyDeps,
  {
    signal,
    pause,
    rows,
    watch,
    salt,
  }: SurveyOptions & { readonly rows: Rows; readonly watch: AppendWatch; readonly salt: number },
): Promise<Stored> {
  const filter = new LocatorFilter(salt);
  const [live, ops, inFlight, garbage] = [new Tally(), new Tally(), new Tally(), new Tally()];
  const orphans: Orphan[] = [];
  const damaged = new Map<Locator, string>();
  const strays: string[] = [];
  const torn: Orphan[] = [];
  const onDamage = (locator: Locator, reason: string, kind?: RecordKind): void => {
    filter.add(locator);
    if (rows.named.has(locator)) damaged.set(locator, reason);
    // a power cut tears what was not synced
    else if (kind === 'data' || kind === 'node') torn.push({ locator, length: 0 });
    else if (strays.length < LOST_MAX) strays.push(`${locator}: ${reason}`);
  };
  const judge = async (unnamed: readonly Orphan[]): Promise<void> => {
    if (unnamed.length > 0) await watch.settle();
    for (const { locator, length } of unnamed) {
      if (watch.has(locator)) {
        inFlight.count(length);
      } else {
        garbage.count(length, locator);
        if (orphans.length < ORPHANS_MAX) orphans.push({ locator, length });
      }
    }
  };
  for await (const batch of chunkStore.scan({ signal, onDamage })) {
    const unnamed = batch.filter(({ locator, kind, length }) => {
      filter.add(locator);
      if (kind === 'op') ops.count(length);
      else if (rows.named.has(locator)) live.count(length);
      else return true;
      return false;
    });
    await judge(unnamed);
    await pause();
  }
  await judge(torn);
  return {
    filter,
    live: live.amount(),
    ops: ops.amount(),
    inFlight: inFlight.amount(),
    orphans,
    orphansFound: garbage.found(),
    damaged,
    strays,
  };
}

/** Rows whose record the scan has not seen, or has seen damaged. Rows change meanwhile: each is looked at once more. */
async function findLost(
  { metaStore, chunkStore }: SurveyDeps,
  { filter, damaged }: Stored,
  watch: AppendWatch,
): Promise<Pick<GcPlan, 'missing' | 'damaged'>> {
  await using snapshot = await metaStore.snapshot();
  const lost = { missing: [] as LostBytes[], damaged: [] as LostBytes[] };
  const counts = { missing: 0, damaged: 0 };
  for await (const named of namedRecords(snapshot)) {
    const { locator } = named;
    const isSuspect = damaged.has(locator) || !(filter.has(locator) || watch.has(locator));
    const code = isSuspect ? await faultOf(chunkStore, locator) : undefined;
    if (!code || !(await isStillNamed(metaStore, named))) continue;
    const kind = code === 'NotFound' ? 'missing' : 'damaged';
    if (counts[kind]++ < LOST_MAX) lost[kind].push(lostBytes(named, damaged.get(locator) ?? 'not in the chunk store'));
  }
  return {
    missing: { count: counts.missing, samples: lost.missing },
    damaged: { count: counts.damaged, samples: lost.damaged },
  };
}

/** `undefined`: its bytes are good. */
async function faultOf(chunkStore: LedgeredChunkStore, locator: Locator): Promise<'NotFound' | 'Corrupt' | undefined> {
  try {
    await chunkStore.read(locator);
    return undefined;
  } catch (error) {
    if (isSkerryError(error, 'NotFound')) return 'NotFound';
    if (isSkerryError(error, 'Corrupt')) return 'Corrupt';
    throw error;
  }
}

async function isStillNamed(reader: MetaReader, { locator, hash, owner }: NamedRecord): Promise<boolean> {
  if (owner) return (await findRecord({ reader }, owner))?.local?.locator === locator;
  const [row] = await reader.get([chunkKey(hash)]);
  return row !== undefined && decodeRecord<ChunkRow>(row).locator === locator;
}

function lostBytes({ locator, hash, owner }: NamedRecord, reason: string): LostBytes {
  const of = owner ? { bucket: owner.bucket, key: owner.key, stamp: owner.stamp } : {};
  return { reason, locator, hash, ...of };
}

const joinLost = (a: LostFound, b: LostFound): LostFound => ({
  count: a.count + b.count,
  samples: [...a.samples, ...b.samples].slice(0, LOST_MAX),
});
