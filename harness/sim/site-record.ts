/**
 * What was committed on one site's disk, in order, read off the writes of every meta-store commit: the one place from which the
 * checkers learn what a site did, whatever the site says of itself.
 */
import type { Incarnation, MetaWrite, Op, SiteId, VersionVector } from '../../core/contracts/index.ts';
import { clockKey } from '../../core/engine/keys.ts';
import { decodeRecord, type ClockRecord } from '../../core/engine/records.ts';
import { seqOf } from '../../core/engine/vector.ts';

/** The site that a record is of. */
export interface RecordedSite {
  readonly name: SiteId;
  readonly incarnation: Incarnation;
}

export interface Commit {
  readonly site: RecordedSite;
  readonly atMs: number;
  /** Oplog rows that it wrote, in the order of writing. */
  readonly ops: readonly Op[];
  /** What came with a snapshot that is complete with this commit: ops that the vector covers from now on and the oplog never had. */
  readonly merged: readonly Op[];
  /** Clock before, and after (the same when it wrote none). */
  readonly before: ClockRecord | undefined;
  readonly after: ClockRecord | undefined;
  readonly writes: readonly MetaWrite[];
}

/** Told of everything that happens; the world and its checkers. */
export interface Watcher {
  onCommit(commit: Commit): void;
  onStartFailure(site: RecordedSite, error: unknown): void;
}

/** Every op that any site ever committed, by origin and seq. */
export type KnownOps = Map<string, Op>;

export const idOf = ({ dot }: Op): string => `${dot.origin}:${dot.seq}`;

export class SiteRecord {
  readonly #site: RecordedSite;
  readonly #watcher: Watcher;
  readonly #known: KnownOps;
  readonly #ops: Op[] = [];
  #unsettledUntilMs = -1;
  #clock: ClockRecord | undefined;

  constructor(site: RecordedSite, watcher: Watcher, known: KnownOps) {
    this.#site = site;
    this.#watcher = watcher;
    this.#known = known;
  }

  /** As it was in a copy that was taken when it had so many ops, of this site or of another one that goes on from there. */
  copy(ops = this.#ops.length, clock = this.#clock, site = this.#site): SiteRecord {
    const record = new SiteRecord(site, this.#watcher, this.#known);
    record.#ops.push(...this.#ops.slice(0, ops));
    record.#clock = clock;
    return record;
  }

  /** A snapshot is being merged: the state is that of no vector. */
  get isMerging(): boolean {
    return this.#clock?.merging !== undefined;
  }

  /** Was one being merged at this moment or later? Virtual milliseconds. */
  wasMergingSince(ms: number): boolean {
    return this.isMerging || this.#unsettledUntilMs >= ms;
  }

  /** Ops applied here, in the order in which they were; those that came with a snapshot when it was complete. */
  get ops(): readonly Op[] {
    return this.#ops;
  }

  get clock(): ClockRecord | undefined {
    return this.#clock;
  }

  get vector(): VersionVector {
    return this.#clock?.vector ?? {};
  }

  async commit(writes: readonly MetaWrite[], atMs: number): Promise<void> {
    const ops: Op[] = [];
    const before = this.#clock;
    for (const { space, key, value } of writes) {
      if (value === undefined) continue;
      if (space === 'oplog') ops.push(decodeRecord<Op>(value));
      else if (space === clockKey.space && Buffer.compare(key, clockKey.key) === 0) this.#clock = decodeRecord(value);
    }
    const merged = before?.merging !== undefined && !this.isMerging ? this.#mergedBy(before, ops) : [];
    if (before?.merging !== undefined || this.isMerging) this.#unsettledUntilMs = atMs;
    for (const op of ops) this.#known.set(idOf(op), op);
    this.#ops.push(...merged, ...ops);
    this.#watcher.onCommit({ site: this.#site, atMs, ops, merged, before, after: this.#clock, writes });
  }

  #mergedBy(before: ClockRecord, ops: readonly Op[]): readonly Op[] {
    const own = new Set(ops.map(idOf));
    const isNew = (op: Op): boolean =>
      op.dot.seq > seqOf(before.vector, op.dot.origin) && op.dot.seq <= seqOf(this.vector, op.dot.origin);
    const found = [...this.#known.values()].filter((op) => isNew(op) && !own.has(idOf(op)));
    return found.toSorted((a, b) => (a.stamp < b.stamp ? -1 : 1));
  }
}
