/**
 * What somebody may still need is not given up (rule 14): an op is trimmed, and a removal forgotten, only when every member has
 * applied it, whatever was reported, and no active lease may ask for it. At the end, what nobody needs is gone.
 */
import type { Op, VersionVector } from '../../core/contracts/index.ts';
import { leasePrefix, tombstonePrefix, tupleRange } from '../../core/engine/keys.ts';
import type { LeaseRecord } from '../../core/engine/leases.ts';
import { decodeRecord, type TombstoneRecord } from '../../core/engine/records.ts';
import { stampDot } from '../../core/engine/stamp.ts';
import { coversDot, joinVectors } from '../../core/engine/vector.ts';
import type { Commit } from '../sim/site-record.ts';
import type { Checker, SiteView, WorldView } from './checker.ts';
import { scanAll } from './dump.ts';
import { modelRegisters } from './model.ts';

type Rows = Map<string, Uint8Array>;

/** Ops of an origin that stay although nobody needs them, as adapters set it, and some that come while it is looked at. */
const OPS_LEFT_MAX = 10;
/** What a pass gives up was decided at its beginning: who became a member since is a newcomer to it, and takes a snapshot (decision 27). */
const PASS_MS = 2000;

export function keepingChecker(): Checker {
  /** Rows of leases and tombstones on each disk, by key. */
  const disks = new WeakMap<SiteView['record'], Rows>();
  /** When each came to know of a member, virtual milliseconds. */
  const met = new WeakMap<SiteView['record'], Map<string, number>>();
  return {
    name: 'keeping',
    onCommit(commit, view) {
      const judged = view.sites.find(({ name }) => name === commit.site.name);
      if (judged === undefined) return;
      const known: Rows = disks.get(judged.record) ?? new Map<string, Uint8Array>();
      disks.set(judged.record, known);
      const members = met.get(judged.record) ?? new Map<string, number>();
      met.set(judged.record, members);
      for (const { body } of [...commit.merged, ...commit.ops])
        if (body.type === 'member.put' && !members.has(body.id)) members.set(body.id, commit.atMs);
      if (commit.before?.merging !== undefined && commit.ops.length === 0 && commit.writes.some(isRemoved))
        view.mark('snapshot removed an entry');
      if (commit.before?.merging === undefined && commit.writes.some(isGivenUp))
        checkGivenUp(commit, { known, members }, judged, view);
      for (const { space, key, value } of commit.writes) {
        if (space !== 'peers' && space !== 'tombstones') continue;
        const name = `${space}/${Buffer.from(key).toString('latin1')}`;
        if (value === undefined) known.delete(name);
        else known.set(name, value);
      }
    },
    async atEnd(view) {
      if (!view.drains) return;
      for (const { name, meta } of view.sites) {
        const ops = await scanAll(meta.reader, 'oplog');
        const kept = new Set(ops.map(({ key }) => `${originOf(key)}:${seqOfRow(key)}`));
        const disputed = (await scanAll(meta.reader, 'conflicts')).map(({ key }) =>
          Buffer.from(key).toString('latin1'),
        );
        for (const { key, value } of await scanAll(meta.reader, 'tombstones')) {
          const removal = isOfVersion(key) && !isDisputed(key, disputed) ? forgettable(value) : undefined;
          if (removal !== undefined && !kept.has(`${removal.origin}:${removal.seq}`))
            view.fail(
              'keeping',
              `${name} still remembers the removal ${removal.origin}:${removal.seq}, which is stable`,
            );
        }
        const perOrigin = Map.groupBy(ops, ({ key }) => originOf(key));
        for (const [origin, left] of perOrigin)
          if (left.length > OPS_LEFT_MAX) view.fail('keeping', `${name} still has ${left.length} ops of ${origin}`);
        view.mark('oplog and tombstones drained');
      }
    },
  };
}

/** The removal of a null version tells of those that lost to it, as long as they are listed. */
function isDisputed(key: Uint8Array, conflicts: readonly string[]): boolean {
  const row = Buffer.from(key.subarray(tombstonePrefix().length)).toString('latin1');
  return row.endsWith('null') && conflicts.some((conflict) => conflict.startsWith(row.slice(0, -'null'.length)));
}

/** The removal; `undefined` while others beside it are to be remembered. */
function forgettable(value: Uint8Array): Op['dot'] | undefined {
  const { stamp, removals } = decodeRecord<TombstoneRecord>(value);
  return removals === undefined ? stampDot(stamp) : undefined;
}

const isRemoved = ({ space, value }: Commit['writes'][number]): boolean =>
  value === undefined && (space === 'heads' || space === 'versions');

const isGivenUp = ({ space, value }: Commit['writes'][number]): boolean =>
  value === undefined && (space === 'oplog' || space === 'tombstones');

interface Kept {
  readonly known: Rows;
  /** Since when. */
  readonly members: ReadonlyMap<string, number>;
}

function checkGivenUp(commit: Commit, { known, members: met }: Kept, judged: SiteView, view: WorldView): void {
  const { writes, ops, atMs } = commit;
  const members = modelRegisters(judged.record.ops);
  const isNew = (origin: string): boolean => atMs - (met.get(origin) ?? 0) < PASS_MS;
  const needed = view.sites
    // who was set back lacks what it had reported: it becomes another origin
    .filter(
      ({ name, incarnation, restores }) =>
        restores === 0 &&
        members.get(`member\0${name}.${incarnation}`)?.isSet === true &&
        !isNew(`${name}.${incarnation}`),
    )
    .map(({ name, record }): readonly [string, VersionVector] => [name, record.vector]);
  // renewed and trimmed in one commit: either may have come first
  const wallMs = judged.clock.wallMs();
  const renewed = new Map(activeLeases(withWrites(known, writes), wallMs));
  const leased = activeLeases(known, wallMs).map(
    ([peer, vector]) => [peer, joinVectors(vector, renewed.get(peer) ?? {})] as const,
  );
  const check = (what: string, dot: Op['dot'], of: typeof needed): void => {
    for (const [who, vector] of of)
      if (!coversDot(vector, dot))
        view.fail('keeping', `${judged.name} gave up ${what} ${dot.origin}:${dot.seq}, which ${who} lacks`);
  };
  for (const { space, key, value } of writes) {
    if (value !== undefined) continue;
    if (space === 'oplog') {
      check('op', { origin: originOf(key), seq: seqOfRow(key) }, [...needed, ...leased]);
      view.mark('op trimmed');
    }
    const tombstone = space === 'tombstones' && known.get(`tombstones/${Buffer.from(key).toString('latin1')}`);
    // a lock that brings a version back ends its removal too
    if (!tombstone || ops.length > 0 || !isOfVersion(key)) continue;
    check('the removal', stampDot(decodeRecord<TombstoneRecord>(tombstone).stamp), needed);
    view.mark('tombstone purged');
  }
}

function withWrites(known: Rows, writes: Commit['writes']): Rows {
  const rows: Rows = new Map(known);
  for (const { space, key, value } of writes)
    if (space === 'peers' && value !== undefined) rows.set(`${space}/${Buffer.from(key).toString('latin1')}`, value);
  return rows;
}

function activeLeases(known: Rows, wallMs: number): readonly (readonly [string, VersionVector])[] {
  const prefix = `peers/${leasePrefix().toString('latin1')}`;
  return [...known]
    .filter(([name]) => name.startsWith(prefix))
    .map(([, value]) => decodeRecord<LeaseRecord>(value))
    .filter(({ expiresAtMs }) => expiresAtMs > wallMs)
    .map(({ peer, vector }) => [`the lease of ${peer}`, vector]);
}

const isOfVersion = (key: Uint8Array): boolean => {
  const { from, to } = tupleRange(tombstonePrefix());
  return Buffer.compare(key, from) >= 0 && Buffer.compare(key, to) < 0;
};

const SEQ_BYTES = 6;
const seqOfRow = (key: Uint8Array): number => Buffer.from(key).readUIntBE(key.length - SEQ_BYTES, SEQ_BYTES);
/** Between origin and seq lies a zero byte. */
const originOf = (key: Uint8Array): string => Buffer.from(key.subarray(0, key.length - SEQ_BYTES - 1)).toString('utf8');
