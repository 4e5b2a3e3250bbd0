/** Keys made at one site, used at another: sealed with a key that the cluster shares, or with the site's own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createCommitter, type Committer } from '../../core/engine/committer.ts';
import { createIdentities, type IdentityStore } from '../../core/engine/identities.ts';
import { createNodeRuntime } from '../../core/kernel/runtime/index.ts';
import type { MetaStore } from '../../core/contracts/index.ts';
import { silentLogger } from '../support/plugin-deps.ts';
import { memoryStore } from './support.ts';

const [CLUSTER, OWN, FOREIGN] = [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const { runtime } = createNodeRuntime(silentLogger);

function committerOf(metaStore: MetaStore, siteId: string): Committer {
  const chunkStore = { sync: async () => {}, isLost: () => false, settled: () => {} };
  const origin = `${siteId}.0123456789abcdef`;
  return createCommitter({ ...runtime, metaStore, chunkStore, origin, maxClockDriftMs: 60_000, onCommitted: () => {} });
}

async function identitiesOf(
  metaStore: MetaStore,
  siteId: string,
  sealingKeys: readonly [Uint8Array, ...Uint8Array[]],
): Promise<IdentityStore> {
  const deps = { ...runtime, reader: metaStore, committer: committerOf(metaStore, siteId), configIdentities: [] };
  const identities = createIdentities({ ...deps, sealingKeys, siteId });
  await identities.open();
  return identities;
}

describe('identities', () => {
  test('a key sealed with the cluster key opens at every site that has it, whatever its own master key', async () => {
    const store = await memoryStore();
    const made = await (await identitiesOf(store, 'a', [CLUSTER, OWN])).create({ policy: 'rw' });
    const there = await identitiesOf(store, 'b', [CLUSTER, FOREIGN]);
    assert.equal(there.find(made.accessKeyId)?.secretKey, made.secretKey);
  });

  test('what was sealed with the master key before there was a cluster key still opens', async () => {
    const store = await memoryStore();
    const made = await (await identitiesOf(store, 'a', [OWN])).create({ policy: 'rw' });
    const later = await identitiesOf(store, 'a', [CLUSTER, OWN]);
    assert.equal(later.find(made.accessKeyId)?.secretKey, made.secretKey);
  });

  test('a key that another site sealed for itself is passed over; one of our own that does not open is damage', async () => {
    const store = await memoryStore();
    const made = await (await identitiesOf(store, 'a', [OWN])).create({ policy: 'rw' });
    const there = await identitiesOf(store, 'b', [FOREIGN]);
    assert.equal(there.find(made.accessKeyId), undefined);
    await assert.rejects(identitiesOf(store, 'a', [FOREIGN]), { code: 'Corrupt' });
  });

  test('opened again it knows what was changed and removed meanwhile', async () => {
    const store = await memoryStore();
    const here = await identitiesOf(store, 'a', [CLUSTER]);
    const [kept, gone] = [await here.create({ policy: 'rw' }), await here.create({ policy: 'rw' })];
    const there = await identitiesOf(store, 'b', [CLUSTER]);
    await here.setPolicy(kept.accessKeyId, 'ro');
    await here.remove(gone.accessKeyId);
    await there.open();
    assert.equal(there.find(kept.accessKeyId)?.policy, 'ro');
    assert.equal(there.find(gone.accessKeyId), undefined);
  });
});
