/** Rule 13: metadata first, bytes right behind. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { ChunkHash } from '../../core/contracts/index.ts';
import { fetchBytes, pullOps, put } from '../engine/exchange.ts';
import { noise, type WholeSite } from '../engine/whole-site.ts';
import { engines } from '../replication/fixtures/engine-cluster.ts';
import { settled } from '../replication/fixtures/settling.ts';
import type { EngineSite } from '../replication/fixtures/engine-site.ts';
import { meet, read, sites } from './support.ts';

async function entryHashes({ engine }: WholeSite): Promise<readonly ChunkHash[]> {
  return (await engine.replica.pending(10)).flatMap(({ entries }) => entries.map(({ hash }) => hash));
}

describe('rule 13: metadata first, bytes right behind', () => {
  test('a version is recorded at once and current when its bytes are here, all of them', async () => {
    await using world = await sites();
    const { a, b } = world;
    await put(a, 'k', 'before');
    await meet(a, b);
    await put(a, 'k', noise(20_000));
    await pullOps(a, b);
    assert.deepEqual(await b.engine.vector(), await a.engine.vector());
    assert.deepEqual([(await b.engine.replica.pending(10)).length, await read(b, 'k')], [1, 'before']);
    await fetchBytes(a, b);
    assert.deepEqual([await b.engine.replica.pending(10), await read(b, 'k')], [[], noise(20_000).toString('latin1')]);
  });

  test('wrong bytes are not taken', async () => {
    await using world = await sites();
    const { a, b } = world;
    await put(a, 'k', noise(20_000));
    await pullOps(a, b);
    const [hash] = await entryHashes(b);
    assert.ok(hash);
    const wrong = { hash, kind: 'data' as const, bytes: noise(2048, 9) };
    await assert.rejects(b.engine.replica.storeChunks([wrong]), { code: 'ChecksumMismatch' });
    assert.deepEqual(await b.engine.replica.missing([hash]), [hash]);
  });

  test('superseded versions are not fetched, and what of them comes all the same is given back', async () => {
    await using world = await sites();
    const { a, b } = world;
    await put(a, 'k', noise(20_000, 1));
    await pullOps(a, b);
    const [hash = ''] = await entryHashes(b);
    const late = await a.engine.replica.readChunk(hash);
    assert.ok(late);
    await put(a, 'k', 'small');
    await pullOps(a, b);
    assert.deepEqual([await b.engine.replica.pending(10), await read(b, 'k')], [[], 'small']);
    const stored = await b.chunkCount();
    await b.engine.replica.storeChunks([{ hash, ...late }]);
    assert.equal(await b.chunkCount(), stored);
  });

  test('chunks that the site has by content are not sent again', async () => {
    await using world = await engines('chain', 2);
    const { cluster, sites: joined, first } = world;
    await first.put('one', noise(20_000, 5));
    await settled(cluster, ...joined);
    const other = joined[1] as EngineSite;
    const before = (await other.replication.status()).fetch;
    const longer = Buffer.concat([noise(20_000, 5).subarray(0, 8 * 2048), noise(1000, 6)]);
    await first.put('two', longer);
    await settled(cluster, ...joined);
    const after = (await other.replication.status()).fetch;
    assert.deepEqual(
      [after.fetchedBytes - before.fetchedBytes, after.savedBytes - before.savedBytes],
      [1000, 8 * 2048],
    );
    assert.equal(await other.get('two'), longer.toString('latin1'));
  });

  test('a version whose bytes no site has is seen to wait, holds up no other, and comes when they do', async () => {
    await using world = await engines('chain', 2);
    const { cluster, sites: joined, first } = world;
    const other = joined[1] as EngineSite;
    const { readChunk } = first.replica;
    first.replica.readChunk = async () => undefined;
    await first.put('lost', noise(20_000, 1));
    await cluster.time.run(10_000);
    first.replica.readChunk = async (hash, holder) => (holder?.key === 'lost' ? undefined : readChunk(hash, holder));
    await first.put('behind', noise(20_000, 2));
    await cluster.time.run(120_000);
    assert.equal(await other.get('behind'), noise(20_000, 2).toString('latin1'));
    const { pending } = await other.replication.status();
    assert.deepEqual([pending.versions, pending.oldestSeconds > 100], [1, true]);
    first.replica.readChunk = readChunk;
    await settled(cluster, ...joined);
    assert.equal(await other.get('lost'), noise(20_000, 1).toString('latin1'));
  });
});
