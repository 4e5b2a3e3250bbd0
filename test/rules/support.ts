/** What the tests of the rules share: two or three whole sites that have met, and that agree or do not. */
import assert from 'node:assert/strict';

import type { BucketSettingName, ConflictedKey, Json, Op, VersionSettings } from '../../core/contracts/index.ts';
import { digestRoot } from '../../core/engine/digest-tree.ts';
import { opLogKey, registerKey } from '../../core/engine/keys.ts';
import type { PurgeReport, StableFrontier } from '../../core/engine/purge.ts';
import type { WireOp } from '../../core/engine/replica.ts';
import { transact } from '../../core/engine/txn.ts';
import { exchange, fetchBytes, pullOps, readVersion } from '../engine/exchange.ts';
import { dump } from '../engine/support.ts';
import { BUCKET, wholeSite, type WholeSite, type WholeSiteOptions } from '../engine/whole-site.ts';

/** Bodies above 512 bytes are chunks of their own. */
const SMALL_CHUNKS = { chunkBytes: 2048, dedupMinBytes: 512 } as const;

export interface Sites extends AsyncDisposable {
  readonly a: WholeSite;
  readonly b: WholeSite;
  readonly c: WholeSite;
}

/** Three sites, each of which has created the bucket for itself; `a` and `b` have met. All clocks stand still at one time. */
export async function sites(options: Omit<WholeSiteOptions, 'siteId'> = {}): Promise<Sites> {
  const [a, b, c] = [await siteOf('a', options), await siteOf('b', options), await siteOf('c', options)];
  await exchange(a, b);
  return {
    a,
    b,
    c,
    async [Symbol.asyncDispose]() {
      for (const site of [a, b, c]) await site[Symbol.asyncDispose]();
    },
  };
}

const siteOf = (siteId: string, options: Omit<WholeSiteOptions, 'siteId'>): Promise<WholeSite> =>
  wholeSite({ ...SMALL_CHUNKS, ...options, siteId });

/** Moves wall clocks. */
export function pass(ms: number, ...all: readonly WholeSite[]): void {
  for (const { clock } of all) clock.wallMs += ms;
}

/** Everything that either has seen is seen by both: vectors, state, digests are equal. */
export async function meet(a: WholeSite, b: WholeSite): Promise<void> {
  await exchange(a, b);
  await agree(a, b);
}

export async function agree(a: WholeSite, b: WholeSite): Promise<void> {
  assert.deepEqual(await b.engine.vector(), await a.engine.vector(), 'vectors');
  assert.equal(await dump(b.metaStore), await dump(a.metaStore), 'state');
  assert.equal(await digestRoot(b.metaStore), await digestRoot(a.metaStore), 'digest');
}

/** Ops and bytes one way. */
export async function pull(from: WholeSite, to: WholeSite): Promise<void> {
  await pullOps(from, to);
  await fetchBytes(from, to);
}

/** All ops that the site has, oldest stamp first. */
export async function opsOf({ engine }: WholeSite): Promise<readonly Op[]> {
  return (await wireOpsOf(engine.replica)).map(({ op }) => op);
}

export async function wireOpsOf(replica: Pick<WholeSite['engine']['replica'], 'opsAfter'>): Promise<readonly WireOp[]> {
  const page = await replica.opsAfter({}, { maxOps: 1000, maxBytes: 1e7 });
  assert.equal(page.kind, 'ops');
  return page.kind === 'ops' ? page.ops : [];
}

export const setBucket = (site: WholeSite, name: BucketSettingName, value: Json): Promise<void> =>
  site.objects.putBucketSetting(BUCKET, name, value);

/** What a client reads: the bytes as text, or the code of the refusal. */
export async function read(site: WholeSite, key: string, versionId?: string): Promise<string> {
  try {
    return (await readVersion(site, key, versionId)).toString('latin1');
  } catch (error) {
    return (error as { readonly code: string }).code;
  }
}

export async function settingsOf(site: WholeSite, key: string, versionId?: string): Promise<VersionSettings> {
  const { info } = await site.objects.headObject({ bucket: BUCKET, key, ...(versionId ? { versionId } : {}) });
  return info.settings;
}

export async function conflictsOf(site: WholeSite): Promise<readonly ConflictedKey[]> {
  return (await site.objects.listConflicts({ bucket: BUCKET, limit: 100 })).entries;
}

/** The members are these, what they reported proves this frontier, and the site gives up what that lets it. */
export async function proveStable(
  { engine, metaStore }: WholeSite,
  members: readonly WholeSite[],
  frontier: StableFrontier | undefined,
): Promise<PurgeReport> {
  const { vector } = await engine.replica.cut();
  await transact(metaStore, {}, (txn) => {
    // the log next to the data is durable: nothing but peers holds the oplog back
    txn.put(opLogKey, { vector });
    for (const member of members) {
      const { origin } = member.engine.replica;
      txn.put(registerKey('member', origin), {
        value: {},
        stamp: `0000000000000001!${origin.replace('.', '!')}!0000000001`,
      });
    }
  });
  engine.keeping.useFrontier(async () => frontier);
  return engine.keeping.purger.run();
}
