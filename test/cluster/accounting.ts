/**
 * What sites owe after they have healed, from their own oplogs: equal vectors, equal state, and every acknowledged write
 * current, listed as a conflict, or superseded by an op that had seen it. Read from the data of stopped sites.
 */
import type { MetaStore, Op, Stamp, VersionPut, VersionVector } from '../../core/contracts/index.ts';
import { headKey, clockKey } from '../../core/engine/keys.ts';
import { decodeRecord, type ClockRecord, type ConflictRecord, type HeadRecord } from '../../core/engine/records.ts';
import { coversDot } from '../../core/engine/vector.ts';
import sqlite from '../../plugins/meta-sqlite/index.ts';
import { optionsSchema, type Options } from '../../plugins/meta-sqlite/options.ts';
import { dump } from '../engine/support.ts';
import { defaultOptions, pluginDeps } from '../support/plugin-deps.ts';
import type { Acknowledged } from './clients.ts';

export interface SiteState {
  readonly name: string;
  readonly vector: VersionVector;
  readonly state: string;
  readonly ops: readonly Op[];
  readonly conflicts: ReadonlySet<Stamp>;
  /** Stamp of the current version by key. */
  readonly current: ReadonlyMap<string, Stamp>;
}

export async function readState(
  name: string,
  dataDir: string,
  bucket: string,
  keys: readonly string[],
): Promise<SiteState> {
  const store = sqlite.create(pluginDeps(`${dataDir}/meta-sqlite`), defaultOptions<Options>(optionsSchema));
  await store.open();
  try {
    const [clock] = await store.get([clockKey]);
    const heads = await store.get(keys.map((key) => headKey(bucket, key)));
    const current = keys.flatMap((key, i) => {
      const row = heads[i];
      return row ? [[key, decodeRecord<HeadRecord>(row).stamp] as const] : [];
    });
    const conflicts = await store.scan({ space: 'conflicts', limit: 10_000 });
    return {
      name,
      vector: clock ? decodeRecord<ClockRecord>(clock).vector : {},
      state: await dump(store),
      ops: await readOps(store),
      conflicts: new Set(conflicts.map(({ value }) => decodeRecord<ConflictRecord>(value).stamp)),
      current: new Map(current),
    };
  } finally {
    await store.close();
  }
}

async function readOps(store: MetaStore): Promise<readonly Op[]> {
  const ops: Op[] = [];
  let from: Uint8Array | undefined;
  for (;;) {
    const rows = await store.scan({ space: 'oplog', ...(from ? { from } : {}), limit: 1000 });
    ops.push(...rows.map(({ value }) => decodeRecord<Op>(value)));
    const last = rows.at(-1);
    if (rows.length < 1000 || !last) return ops;
    from = Buffer.concat([last.key, Buffer.of(0)]);
  }
}

/** Sentences about acknowledged writes that a site cannot account for; none is right. */
export function unaccounted(
  { ops, current, conflicts, name }: SiteState,
  acknowledged: readonly Acknowledged[],
): readonly string[] {
  const faults: string[] = [];
  for (const { site, key, etag, causality } of acknowledged) {
    const vector = JSON.parse(Buffer.from(causality, 'base64url').toString('utf8')) as VersionVector;
    const op = ops.find(({ dot }) => dot.origin.startsWith(`${site}.`) && vector[dot.origin] === dot.seq);
    if (!op) {
      // deleting what is not there writes no op
      if (etag !== undefined) faults.push(`${name}: no op for the acknowledged PUT of ${key} at ${site}`);
      continue;
    }
    if (op.body.type !== 'version.put' || op.body.key !== key || op.body.content?.etag !== etag) continue;
    if (!isAccounted(op as Op<VersionPut>, ops, current, conflicts))
      faults.push(`${name}: ${key} written at ${site} is gone and nobody saw it`);
  }
  return faults;
}

function isAccounted(
  op: Op<VersionPut>,
  ops: readonly Op[],
  current: ReadonlyMap<string, Stamp>,
  conflicts: ReadonlySet<Stamp>,
): boolean {
  const { bucket, key } = op.body;
  if (current.get(key) === op.stamp || conflicts.has(op.stamp)) return true;
  return ops.some(
    ({ body, deps }) => 'key' in body && body.key === key && body.bucket === bucket && coversDot(deps, op.dot),
  );
}
