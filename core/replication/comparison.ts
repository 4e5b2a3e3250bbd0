/**
 * Comparing this site with one peer at equal vectors, and putting right here what differs (rule 16): leaves, then the entities of
 * those that are not the same, then what the peer has of these. At other vectors differences may be what is under way, so the
 * comparison waits for equal ones, and says so when they do not come.
 */
import {
  isSkerryError,
  type Clock,
  type PeerValidation,
  type SiteId,
  type Timers,
  type ValidationDifference,
  type VersionVector,
} from '../contracts/index.ts';
import type { AuditCount } from '../engine/audit.ts';
import type { Auditor } from '../engine/auditor.ts';
import type { CutEntity } from '../engine/cut-entities.ts';
import { toggled, type Digest } from '../engine/digest.ts';
import type { DigestLeaves, EntityDigest, EntityPath } from '../engine/digest-tree.ts';
import { differingEntities, differingLeaves, type Difference } from '../engine/validate.ts';
import { coversVector } from '../engine/vector.ts';
import { lacking } from './status.ts';

/** The peer's side. Each answer is of one moment there, with the vector of that moment. */
export interface DigestSource {
  digest(): Promise<{ readonly vector: VersionVector; readonly leaves: DigestLeaves }>;
  leafEntities(
    leaves: readonly number[],
  ): Promise<{ readonly vector: VersionVector; readonly entities: readonly EntityDigest[] }>;
  /** Everything that it has of these: for a version, of its key. */
  whole(
    paths: readonly EntityPath[],
  ): Promise<{ readonly vector: VersionVector; readonly entities: readonly CutEntity[] }>;
}

export interface ComparisonDeps {
  readonly auditor: Auditor;
  readonly clock: Clock;
  readonly timers: Timers;
  /** How long equal vectors are waited for. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
  readonly onRepairing: (done: number) => void;
}

export interface ComparisonInput {
  readonly peer: SiteId;
  readonly source: DigestSource;
  /** What this site's digest is off by; leaves that a repair puts right are taken out. */
  readonly discrepancies: Map<number, Digest>;
  readonly entities: AuditCount['entities'];
  readonly repair: boolean;
}

const POLL_MS = 250;
const LEAVES = 4096;
/** Entities of each side that are compared at a time, about. */
const SLICE_ENTITIES = 50_000;
const DIFFERENCES_MAX = 1000;
const WHOLE_MAX = 50;

/** Equal to no vector that a site has. */
const MOVED: VersionVector = { '': 1 };

/** The vectors never were equal. */
class Busy extends Error {
  readonly ours: VersionVector;
  readonly theirs: VersionVector;
  constructor(ours: VersionVector, theirs: VersionVector) {
    super('ops are under way');
    this.ours = ours;
    this.theirs = theirs;
  }
}

interface Found extends Difference {
  readonly leaf: number;
  /** The peer has exactly what this site had committed. */
  readonly isProven: boolean;
}

interface Walk {
  readonly found: readonly Found[];
  readonly damagedDigestLeaves: number;
}

export async function compareWith(deps: ComparisonDeps, input: ComparisonInput): Promise<PeerValidation> {
  const { peer } = input;
  const none = { peer, differences: [], differenceCount: 0, repairedCount: 0, damagedDigestLeaves: 0 };
  try {
    const before = await walk(deps, input);
    if (!input.repair || before.found.length === 0) return summary(peer, before, before);
    await repairAll(deps, input, before.found);
    return summary(peer, before, await walk(deps, input));
  } catch (error) {
    if (!(error instanceof Busy)) throw error;
    const { ours, theirs } = error;
    return { ...none, outcome: 'busy', opsBehind: lacking(ours, theirs), opsAhead: lacking(theirs, ours) };
  }
}

function summary(peer: SiteId, before: Walk, after: Walk): PeerValidation {
  const left = new Set(after.found.map(nameOf));
  const differences = before.found.map((one): ValidationDifference => ({
    entity: one.path,
    has: one.has,
    repaired: !left.has(nameOf(one)),
  }));
  const isEqual = after.found.length === 0 && after.damagedDigestLeaves === 0;
  return {
    peer,
    outcome: isEqual ? 'equal' : 'different',
    differences: differences.slice(0, DIFFERENCES_MAX),
    differenceCount: before.found.length,
    repairedCount: differences.filter(({ repaired }) => repaired).length,
    damagedDigestLeaves: after.damagedDigestLeaves,
  };
}

const nameOf = ({ path }: Difference): string => JSON.stringify(path);

const isSame = (a: VersionVector, b: VersionVector): boolean => coversVector(a, b) && coversVector(b, a);

/** Asks both until they have seen the same. */
async function atEqualVectors<
  A extends { readonly vector: VersionVector },
  B extends { readonly vector: VersionVector },
>({ clock, timers, waitMs, signal }: ComparisonDeps, ask: () => Promise<readonly [A, B]>): Promise<readonly [A, B]> {
  const endMs = clock.monotonicMs() + waitMs;
  for (;;) {
    const [ours, theirs] = await ask();
    if (isSame(ours.vector, theirs.vector)) return [ours, theirs];
    if (clock.monotonicMs() >= endMs) throw new Busy(ours.vector, theirs.vector);
    await timers.sleep(POLL_MS, signal);
  }
}

async function walk(deps: ComparisonDeps, input: ComparisonInput): Promise<Walk> {
  const { auditor } = deps;
  const { source, discrepancies, entities } = input;
  const [ours, theirs] = await atEqualVectors(deps, async () => [await auditor.digest(), await source.digest()]);
  const leaves = differingLeaves(counted(ours.leaves, discrepancies), theirs.leaves);
  const slice = Math.max(1, Math.floor((SLICE_ENTITIES * LEAVES) / Math.max(1, entities)));
  const found: Found[] = [];
  let damagedDigestLeaves = 0;
  for (let at = 0; at < leaves.length; at += slice) {
    const part = await compareSlice(deps, input, leaves.slice(at, at + slice));
    found.push(...part.found);
    damagedDigestLeaves += part.damagedDigestLeaves;
  }
  return { found, damagedDigestLeaves };
}

/** The peer may have much more than this site: then fewer leaves are looked at together. */
async function compareSlice(deps: ComparisonDeps, input: ComparisonInput, leaves: readonly number[]): Promise<Walk> {
  try {
    return await compareLeaves(deps, input, leaves);
  } catch (error) {
    if (!isSkerryError(error, 'TooLarge') || leaves.length < 2) throw error;
  }
  const half = Math.ceil(leaves.length / 2);
  const [first, second] = [
    await compareSlice(deps, input, leaves.slice(0, half)),
    await compareSlice(deps, input, leaves.slice(half)),
  ];
  return {
    found: [...first.found, ...second.found],
    damagedDigestLeaves: first.damagedDigestLeaves + second.damagedDigestLeaves,
  };
}

/** The leaves that the entities add up to. */
function counted(kept: DigestLeaves, discrepancies: ReadonlyMap<number, Digest>): DigestLeaves {
  const leaves = new Map(kept);
  for (const [leaf, digest] of discrepancies) {
    const sum = toggled(bytesOf(kept.get(leaf)), digest);
    if (sum.some((byte) => byte !== 0)) leaves.set(leaf, Buffer.from(sum).toString('hex'));
    else leaves.delete(leaf);
  }
  return leaves;
}

const bytesOf = (hex: string | undefined): Digest | undefined =>
  hex === undefined ? undefined : Buffer.from(hex, 'hex');

async function compareLeaves(
  deps: ComparisonDeps,
  { source, discrepancies }: ComparisonInput,
  leaves: readonly number[],
): Promise<Walk> {
  const { auditor } = deps;
  const wanted = new Set(leaves);
  const [ours, theirs] = await atEqualVectors(deps, async () => {
    const other = await source.leafEntities(leaves);
    const mine = await readLeaves(deps, wanted);
    const kept = { mine: await auditor.digest(), other: await source.digest() };
    // all four of one vector, or none counts
    const isStill = isSame(mine.vector, kept.mine.vector) && isSame(other.vector, kept.other.vector);
    return [
      { ...mine, leaves: kept.mine.leaves },
      { ...other, vector: isStill ? other.vector : MOVED, leaves: kept.other.leaves },
    ] as const;
  });
  const sums = sumsOf(theirs.entities);
  const isSoundThere = (leaf: number): boolean => (sums.get(leaf) ?? '') === (theirs.leaves.get(leaf) ?? '');
  const isProven = (leaf: number): boolean =>
    discrepancies.has(leaf) && isSoundThere(leaf) && ours.leaves.get(leaf) === theirs.leaves.get(leaf);
  const leafOf = new Map([...ours.entities, ...theirs.entities].map(({ path, leaf }) => [JSON.stringify(path), leaf]));
  const found = differingEntities(ours.entities, theirs.entities).map((one): Found => {
    const leaf = leafOf.get(nameOf(one)) ?? 0;
    return { ...one, leaf, isProven: isProven(leaf) };
  });
  return { found, damagedDigestLeaves: leaves.filter((leaf) => !isSoundThere(leaf)).length };
}

async function readLeaves({ auditor, signal }: ComparisonDeps, leaves: ReadonlySet<number>) {
  const entities: EntityDigest[] = [];
  let vector: VersionVector = MOVED;
  for await (const one of auditor.leafEntities(leaves, signal)) {
    if (one.kind === 'vector') vector = one.vector;
    else if (one.kind === 'entity') entities.push(one.entity);
  }
  return { vector, entities };
}

function sumsOf(entities: readonly EntityDigest[]): ReadonlyMap<number, string> {
  const sums = new Map<number, Digest>();
  for (const { leaf, digest } of entities) sums.set(leaf, toggled(sums.get(leaf), Buffer.from(digest, 'hex')));
  return new Map([...sums].map(([leaf, sum]) => [leaf, Buffer.from(sum).toString('hex')]));
}

/** Everything of one key, or one bucket or register. */
const objectOf = ({ path }: Difference): string =>
  JSON.stringify(path.kind === 'version' ? [path.kind, path.bucket, path.key] : path);

function objectOfEntity(entity: CutEntity): string {
  switch (entity.kind) {
    case 'version':
    case 'tombstone':
      return JSON.stringify(['version', entity.bucket, entity.key]);
    case 'bucket':
      return JSON.stringify({ kind: 'bucket', bucket: entity.bucket });
    case 'register':
      return JSON.stringify({ kind: 'register', of: entity.of, id: entity.id });
  }
}

/** One object at a time, each in a transaction of its own. What only this site has is looked at too: the peer may know its removal. */
async function repairAll(deps: ComparisonDeps, input: ComparisonInput, found: readonly Found[]): Promise<void> {
  const objects = new Map(found.map((one) => [objectOf(one), one]));
  const wanted = [...objects.values()];
  for (let at = 0; at < wanted.length; at += WHOLE_MAX) {
    deps.onRepairing(at);
    await repairSome(deps, input, wanted.slice(at, at + WHOLE_MAX));
  }
}

async function repairSome(deps: ComparisonDeps, input: ComparisonInput, some: readonly Found[]): Promise<void> {
  const { auditor, clock, timers, waitMs, signal } = deps;
  const { source, discrepancies } = input;
  const endMs = clock.monotonicMs() + waitMs;
  let left = some;
  while (left.length > 0) {
    const { vector, entities } = await source.whole(left.map(({ path }) => path));
    const busy: Found[] = [];
    for (const one of left) {
      const theirs = entities.filter((entity) => objectOfEntity(entity) === objectOf(one));
      const { path: at, leaf, isProven } = one;
      const digest = discrepancies.get(leaf);
      const repair = { at, theirs, vector, isProven, ...(digest ? { discrepancy: { leaf, digest } } : {}) };
      const outcome = await auditor.repair(repair);
      if (outcome.kind === 'busy') busy.push(one);
      else discrepancies.delete(leaf);
    }
    if (busy.length > 0 && clock.monotonicMs() >= endMs) throw new Busy((await auditor.digest()).vector, vector);
    if (busy.length > 0) await timers.sleep(POLL_MS, signal);
    left = busy;
  }
}
