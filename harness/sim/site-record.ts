/**
 * What was committed on one site's disk, in order, read off the writes of every meta-store commit: the one place from which the
 * checkers learn what a site did, whatever the site says of itself.
 */
import type { Incarnation, MetaWrite, Op, SiteId, VersionVector } from '../../core/contracts/index.ts';
import { clockKey } from '../../core/engine/keys.ts';
import { decodeRecord, type ClockRecord } from '../../core/engine/records.ts';

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

export class SiteRecord {
  readonly #site: RecordedSite;
  readonly #watcher: Watcher;
  readonly #ops: Op[] = [];
  #clock: ClockRecord | undefined;

  constructor(site: RecordedSite, watcher: Watcher) {
    this.#site = site;
    this.#watcher = watcher;
  }

  /** Ops applied here, in the order in which they were. */
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
    this.#ops.push(...ops);
    this.#watcher.onCommit({ site: this.#site, atMs, ops, before, after: this.#clock, writes });
  }
}
