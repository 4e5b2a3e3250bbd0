/**
 * The rows of one key inside a transaction: current version (head), older versions, the null-version register's tombstone,
 * and the conflicts that are not resolved. Keeps what must hold between them; which version goes where is decided in
 * apply-version.ts. Nothing is written back before `save`.
 */
import type { Locator, MetaRange, Stamp } from '../contracts/index.ts';
import type { ApplyContext } from './apply-context.ts';
import { dropVersion } from './chunk-refs.ts';
import { keyLeaf, toggleLeaf, toggled, versionDigest, type Digest } from './digest.ts';
import { addLosers, addVersions, setHead } from './heads.ts';
import { conflictKey, conflictPrefix, headKey, tombstoneKey, tupleRange, versionKey, versionPrefix } from './keys.ts';
import {
  decodeRecord,
  isHidden,
  visibleOf,
  type ConflictRecord,
  type HeadRecord,
  type Shadow,
  type TombstoneRecord,
  type VersionRecord,
} from './records.ts';
import { stampDot } from './stamp.ts';
import { coversDot } from './vector.ts';

/** Unresolved conflicts of one key, at most; more than this many sites never write one key unseen by each other. */
const CONFLICTS_MAX = 1000;

/** Where the version that becomes current when the current one is taken out stands. */
export const successorRange = (bucket: string, key: string): MetaRange => ({
  space: 'versions',
  ...tupleRange(versionPrefix(bucket, key)),
  limit: 1,
});

/** Older versions that are looked through for one whose bytes are here. */
const OLDER_MAX = 100;

/** A version record without what only a head carries. */
export function bareVersion(version: HeadRecord): VersionRecord {
  const { nullStamp: _, conflicts: __, seen: ___, shadow: ____, ...record } = version;
  return record;
}

function withoutPending<V extends VersionRecord>(version: V): V {
  const { pending: _, eager: __, ...local } = version.local ?? {};
  const { local: ___, ...rest } = version;
  return { ...rest, ...(Object.keys(local).length > 0 ? { local } : {}) } as V;
}

/** A version that no later write of its key has seen, and that is not current. */
export interface Conflict {
  readonly stamp: Stamp;
  readonly record: ConflictRecord;
}

export class KeyState {
  readonly #context: ApplyContext;
  readonly #bucket: string;
  readonly #key: string;
  readonly #before: HeadRecord | undefined;
  #head: HeadRecord | undefined;
  #tombstone: TombstoneRecord | undefined | 'unread' = 'unread';
  #tombstoneChanged = false;
  #conflictCount: number;
  /** Versions that this op lets go of: their bytes are given back unless readers still need them. */
  readonly #letGo: VersionRecord[] = [];
  /** What this op changes in the digest. */
  #digest: Digest | undefined;
  /** What readers see should the head be pending. `unread`: the newest older version, looked for only if it matters. */
  #visible: VersionRecord | undefined | 'unread';

  constructor(context: ApplyContext, bucket: string, key: string) {
    this.#context = context;
    this.#bucket = bucket;
    this.#key = key;
    this.#before = context.txn.record<HeadRecord>(headKey(bucket, key));
    this.#head = this.#before;
    this.#visible = visibleOf(this.#before);
    this.#conflictCount = (this.#before ?? this.tombstone())?.conflicts ?? 0;
  }

  get head(): HeadRecord | undefined {
    return this.#head;
  }

  /** The recorded removal of the null-version register. */
  tombstone(): TombstoneRecord | undefined {
    if (this.#tombstone === 'unread') {
      this.#tombstone = this.#context.txn.record<TombstoneRecord>(tombstoneKey(this.#bucket, this.#key, null));
    }
    return this.#tombstone;
  }

  setTombstone(tombstone: TombstoneRecord): void {
    this.#tombstone = tombstone;
    this.#tombstoneChanged = true;
  }

  nullVersion(): VersionRecord | undefined {
    if (this.#head?.nullVersion) return this.#head;
    const stamp = this.#head?.nullStamp;
    return stamp === undefined ? undefined : this.version(stamp);
  }

  version(stamp: Stamp): VersionRecord | undefined {
    if (!this.#head) return undefined;
    if (this.#head.stamp === stamp) return this.#head;
    return this.#context.txn.record<VersionRecord>(versionKey(this.#bucket, this.#key, stamp));
  }

  /** Adds a live version: as head when its stamp is the largest, else among the older ones. */
  insert(record: VersionRecord): void {
    this.#toggle(record, true);
    addVersions(this.#context.txn, this.#bucket, 1, record.content?.size ?? 0);
    const head = this.#head;
    if (!head || record.stamp > head.stamp) {
      if (head) this.#store(head);
      const nullStamp = record.nullVersion ? undefined : head?.nullVersion ? head.stamp : head?.nullStamp;
      this.#head = nullStamp === undefined ? record : { ...record, nullStamp };
      return;
    }
    this.#store(record);
    this.#show(record);
    if (record.nullVersion) this.#head = { ...head, nullStamp: record.stamp };
  }

  /** Gives the bytes of a version back, unless readers still see it because the current one's are missing. */
  letGo(version: VersionRecord): void {
    this.#letGo.push(bareVersion(version));
  }

  /** A removal that readers must notice at once: they see what is left. */
  hide(version: VersionRecord): void {
    if (this.#seenByReaders()?.stamp === version.stamp) this.#visible = 'unread';
  }

  /** The bytes of a version are all here now. */
  complete(stamp: Stamp): void {
    const version = this.version(stamp);
    const loser = this.conflicts().find((conflict) => conflict.stamp === stamp)?.record.loser;
    if (version?.local?.pending) {
      const whole = withoutPending(version);
      this.update(whole);
      if (stamp !== this.#head?.stamp) this.#show(whole);
    } else if (loser?.local?.pending) {
      this.updateLoser(withoutPending(loser));
    }
  }

  /** The bytes of a version that owns them lie somewhere else now; false when none of that stamp has them at `from`. */
  relocate(stamp: Stamp, from: Locator, to: Locator): boolean {
    const isMeant = (record: VersionRecord | undefined): record is VersionRecord =>
      record?.stamp === stamp && record.local?.locator === from;
    const moved = <V extends VersionRecord>(record: V): V => ({ ...record, local: { ...record.local, locator: to } });
    const shown = this.#seenByReaders();
    const live = this.version(stamp);
    const loser = this.conflicts().find((conflict) => conflict.stamp === stamp)?.record.loser;
    const found = [shown, live, loser].some(isMeant);
    if (isMeant(shown)) this.#visible = moved(shown);
    if (isMeant(live)) this.update(moved(live));
    if (isMeant(loser)) this.updateLoser(moved(loser));
    return found;
  }

  /** A put has seen the current version: should another beat it, that is no conflict. */
  markSeen(): void {
    if (this.#head) this.#head = { ...this.#head, seen: true };
  }

  /** A removal that does not take effect has seen this version all the same. */
  markVersionSeen(stamp: Stamp): void {
    if (stamp === this.#head?.stamp) this.markSeen();
    else this.#endConflictOf(stamp);
  }

  /** A removed version is live again. It was seen by its removal, so it is in conflict with nobody. */
  bringBack(record: VersionRecord): void {
    const head = this.#head;
    this.insert(record);
    if (this.#head?.stamp !== record.stamp) return;
    this.markSeen();
    if (head && !head.seen && !coversDot(record.deps, stampDot(head.stamp))) this.addConflict({ stamp: head.stamp });
  }

  /**
   * Takes a live version out, its open conflict with it; the next newest becomes head when it was the head. Its bytes stay
   * held.
   */
  takeOut(version: VersionRecord): void {
    this.#endConflictOf(version.stamp);
    this.#toggle(version, true);
    addVersions(this.#context.txn, this.#bucket, -1, -(version.content?.size ?? 0));
    const head = this.#head;
    if (head?.stamp === version.stamp) {
      this.#head = this.#promote(head);
      return;
    }
    this.#context.txn.remove(versionKey(this.#bucket, this.#key, version.stamp));
    if (head?.nullStamp === version.stamp) {
      const { nullStamp: _, ...rest } = head;
      this.#head = rest;
    }
  }

  /** Takes the head out when a newer null version takes its very place: nothing else of the key needs to be looked at. */
  replaceHead(record: VersionRecord): void {
    if (this.#head) {
      this.letGo(this.#head);
      this.#toggle(this.#head, true);
    }
    this.#toggle(record, true);
    const size = (record.content?.size ?? 0) - (this.#head?.content?.size ?? 0);
    addVersions(this.#context.txn, this.#bucket, 0, size);
    this.#head = record;
  }

  /** Rewrites a live version in place. */
  update(version: VersionRecord): void {
    const before = this.version(version.stamp);
    if (before) this.#toggle(before, true);
    this.#toggle(version, true);
    if (this.#head?.stamp === version.stamp) this.#head = version;
    else this.#context.txn.put(versionKey(this.#bucket, this.#key, version.stamp), version);
  }

  conflicts(): readonly Conflict[] {
    if (this.#conflictCount === 0) return [];
    const range = {
      space: 'conflicts' as const,
      ...tupleRange(conflictPrefix(this.#bucket, this.#key)),
      limit: CONFLICTS_MAX,
    };
    return this.#context.txn.scan(range).map(({ value }) => {
      const record = decodeRecord<ConflictRecord>(value);
      return { stamp: record.stamp, record };
    });
  }

  /** A null version lives in its conflict alone, if it lost: then it is gone. */
  endLoser(stamp: Stamp): void {
    const lost = this.conflicts().find((conflict) => conflict.stamp === stamp && conflict.record.loser);
    if (lost) this.endConflict(lost);
  }

  updateLoser(loser: VersionRecord): void {
    const before = this.conflicts().find(({ stamp }) => stamp === loser.stamp)?.record.loser;
    if (before) this.#toggle(before, false);
    this.#toggle(loser, false);
    this.#context.txn.put(conflictKey(this.#bucket, this.#key, loser.stamp), {
      stamp: loser.stamp,
      loser,
    } satisfies ConflictRecord);
  }

  /** A null version whose removal by its stamp was recorded is wanted by nobody, should it lose. */
  addConflict(record: ConflictRecord): void {
    if (record.loser && this.#context.txn.get(tombstoneKey(this.#bucket, this.#key, record.stamp)))
      return this.letGo(record.loser);
    this.#context.txn.put(conflictKey(this.#bucket, this.#key, record.stamp), record);
    this.#conflictCount++;
    if (!record.loser) return;
    this.#toggle(record.loser, false);
    addLosers(this.#context.txn, this.#bucket, 1);
  }

  /** Forgets a conflict; a loser that only the conflict held lets go of its bytes. */
  endConflict({ stamp, record }: Conflict): void {
    this.#context.txn.remove(conflictKey(this.#bucket, this.#key, stamp));
    this.#conflictCount--;
    if (!record.loser) return;
    this.#toggle(record.loser, false);
    addLosers(this.#context.txn, this.#bucket, -1);
    this.letGo(record.loser);
  }

  #endConflictOf(version: Stamp): boolean {
    const open = this.conflicts().find(({ stamp }) => stamp === version);
    if (open) this.endConflict(open);
    return open !== undefined;
  }

  save(): void {
    const { txn } = this.#context;
    const count = this.#conflictCount;
    const shadow = this.#settleShadow();
    if (this.#head) {
      const { conflicts: _, shadow: __, ...head } = this.#head;
      const next = { ...head, ...(count > 0 ? { conflicts: count } : {}), ...(shadow ? { shadow } : {}) };
      setHead(txn, this.#bucket, this.#key, this.#before, next);
    } else {
      setHead(txn, this.#bucket, this.#key, this.#before, undefined);
    }
    this.#saveTombstone(this.#head ? 0 : count);
    if (this.#digest) toggleLeaf(txn, keyLeaf(this.#bucket, this.#key), this.#digest);
  }

  /** Of an entity that comes or goes. */
  #toggle(version: VersionRecord, isLive: boolean): void {
    this.#digest = toggled(this.#digest, versionDigest(this.#bucket, this.#key, version, isLive));
  }

  /** What the head's shadow is after this op; gives back the bytes of everything that nobody sees any more. */
  #settleShadow(): Shadow | undefined {
    const before = this.#before?.shadow;
    const orphans = before?.owned ? [...this.#letGo, before.record] : this.#letGo;
    const shown = this.#head && isHidden(this.#head) ? this.#seenByReaders() : undefined;
    for (const orphan of orphans) if (orphan.stamp !== shown?.stamp) dropVersion(this.#context, orphan);
    if (!shown) return undefined;
    const owned = orphans.some(({ stamp }) => stamp === shown.stamp);
    return { record: bareVersion(shown), ...(owned ? { owned: true as const } : {}) };
  }

  /** An older version whose bytes are here: readers see it if it is newer than what they see. */
  #show(record: VersionRecord): void {
    if (isHidden(record)) return;
    const visible = this.#seenByReaders();
    if (!visible || visible.stamp <= record.stamp) this.#visible = record;
  }

  #seenByReaders(): VersionRecord | undefined {
    if (this.#visible === 'unread') this.#visible = this.#newestOlder();
    return this.#visible;
  }

  #newestOlder(): VersionRecord | undefined {
    const range = {
      space: 'versions' as const,
      ...tupleRange(versionPrefix(this.#bucket, this.#key)),
      limit: OLDER_MAX,
    };
    const rows = this.#context.txn.scan(range).map(({ value }) => decodeRecord<VersionRecord>(value));
    return rows.find((version) => !isHidden(version));
  }

  /** While a key has no head its tombstone counts its conflicts: they were lost to a removal. */
  #saveTombstone(count: number): void {
    if (this.#tombstone === 'unread' && count === 0) return;
    const known = this.tombstone();
    if (!known) return;
    if (!this.#tombstoneChanged && (known.conflicts ?? 0) === count) return;
    const { conflicts: _, ...tombstone } = known;
    this.#context.txn.put(
      tombstoneKey(this.#bucket, this.#key, null),
      count > 0 ? { ...tombstone, conflicts: count } : tombstone,
    );
  }

  #store(record: HeadRecord): void {
    this.#context.txn.put(versionKey(this.#bucket, this.#key, record.stamp), bareVersion(record));
  }

  /** The newest older version, taken out of `versions`. It was seen by a later write unless its conflict is still open. */
  #promote(gone: HeadRecord): HeadRecord | undefined {
    const { txn } = this.#context;
    const [row] = txn.scan(successorRange(this.#bucket, this.#key));
    if (!row) return undefined;
    txn.remove({ space: 'versions', key: row.key });
    const next = decodeRecord<VersionRecord>(row.value);
    const open = this.#endConflictOf(next.stamp);
    const nullStamp = next.nullVersion ? undefined : gone.nullStamp;
    return { ...next, ...(open ? {} : { seen: true as const }), ...(nullStamp === undefined ? {} : { nullStamp }) };
  }
}
