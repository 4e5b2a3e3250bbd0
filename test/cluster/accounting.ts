/**
 * What sites owe after they have healed, from their own oplogs: equal vectors, equal state, and every acknowledged write
 * current, an older version, listed as a conflict, or superseded by an op that had seen it. Read from the data of stopped sites.
 */
import type { MetaSpace, MetaStore, Op, Stamp, VersionPut, VersionVector } from '../../core/contracts/index.ts';
import { digestRoot } from '../../core/engine/digest-tree.ts';
import { clockKey } from '../../core/engine/keys.ts';
import { decodeRecord, type ClockRecord } from '../../core/engine/records.ts';
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
  readonly digest: string;
  readonly ops: readonly Op[];
  /** Stamps of all versions that are there: current, older, and listed as conflicts. */
  readonly versions: ReadonlySet<Stamp>;
  readonly conflicts: number;
}

const PAGE = 1000;

export async function readState(name: string, dataDir: string): Promise<SiteState> {
  const store = sqlite.create(pluginDeps(`${dataDir}/meta-sqlite`), defaultOptions<Options>(optionsSchema));
  await store.open();
  try {
    const [clock] = await store.get([clockKey]);
    const conflicts = await stampsIn(store, 'conflicts');
    const live = [...(await stampsIn(store, 'heads')), ...(await stampsIn(store, 'versions'))];
    return {
      name,
      vector: clock ? decodeRecord<ClockRecord>(clock).vector : {},
      state: await dump(store),
      digest: await digestRoot(store),
      ops: await recordsIn<Op>(store, 'oplog'),
      versions: new Set([...live, ...conflicts]),
      conflicts: conflicts.length,
    };
  } finally {
    await store.close();
  }
}

async function stampsIn(store: MetaStore, space: MetaSpace): Promise<readonly Stamp[]> {
  return (await recordsIn<{ readonly stamp: Stamp }>(store, space)).map(({ stamp }) => stamp);
}

async function recordsIn<T>(store: MetaStore, space: MetaSpace): Promise<readonly T[]> {
  const found: T[] = [];
  let from: Uint8Array | undefined;
  for (;;) {
    const rows = await store.scan({ space, ...(from ? { from } : {}), limit: PAGE });
    found.push(...rows.map(({ value }) => decodeRecord<T>(value)));
    const last = rows.at(-1);
    if (rows.length < PAGE || !last) return found;
    from = Buffer.concat([last.key, Buffer.of(0)]);
  }
}

/** Sentences about acknowledged writes that a site cannot account for; none is right. */
export function unaccounted(site: SiteState, acknowledged: readonly Acknowledged[]): readonly string[] {
  const faults: string[] = [];
  const byDot = new Map(site.ops.map((op) => [`${op.dot.origin}:${op.dot.seq}`, op]));
  for (const { site: author, bucket, key, etag, causality } of acknowledged) {
    const vector = JSON.parse(Buffer.from(causality, 'base64url').toString('utf8')) as VersionVector;
    const origin = Object.keys(vector).find((one) => one.startsWith(`${author}.`)) ?? '';
    const op = byDot.get(`${origin}:${vector[origin]}`);
    if (!op) {
      // deleting what is not there writes no op
      if (etag !== undefined)
        faults.push(`${site.name}: no op for the acknowledged PUT of ${bucket}/${key} at ${author}`);
      continue;
    }
    const { body } = op;
    if (body.type !== 'version.put' || body.key !== key || body.bucket !== bucket || body.content?.etag !== etag)
      continue;
    if (!isAccounted(op as Op<VersionPut>, site))
      faults.push(`${site.name}: ${bucket}/${key} written at ${author} is gone and nobody saw it`);
  }
  return faults;
}

/** There, or ended by an op that had seen it: for a version of its own nothing but its removal ends it. */
function isAccounted({ dot, stamp, body: put }: Op<VersionPut>, { ops, versions }: SiteState): boolean {
  if (versions.has(stamp)) return true;
  return ops.some(({ body, deps }) => {
    if (!('key' in body) || body.key !== put.key || body.bucket !== put.bucket || !coversDot(deps, dot)) return false;
    return put.nullVersion ? body.type !== 'version.setting' : body.type === 'version.remove' && body.target === stamp;
  });
}
