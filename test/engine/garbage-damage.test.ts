/** A manifest node that is damaged when it is garbage holds up nothing: who it held is known from the rows. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SkerryError, type Locator } from '../../core/contracts/index.ts';
import { decodeRecord, type ChunkRow } from '../../core/engine/records.ts';
import { put } from './exchange.ts';
import { BUCKET, noise, wholeSite, type WholeSite } from './whole-site.ts';

const OPTIONS = { chunkBytes: 1000, dedupMinBytes: 100 } as const;

async function nodesOf({ metaStore }: WholeSite): Promise<readonly Locator[]> {
  const rows = await metaStore.scan({ space: 'chunks', limit: 10_000 });
  return rows
    .map(({ value }) => decodeRecord<ChunkRow>(value))
    .flatMap((row) => (row.kind === 'node' ? [row.locator] : []));
}

describe('collecting an object whose manifest node is damaged', () => {
  for (const damage of ['unreadable', 'gone', 'no list'] as const)
    test(`(${damage}) gives back all that nobody holds, and keeps what another object does`, async () => {
      await using site = await wholeSite(OPTIONS);
      const shared = noise(5000, 1);
      await put(site, 'kept', shared);
      await put(site, 'large', Buffer.concat([shared, noise(60_000, 2)]));
      await put(site, 'other', noise(3000, 3));
      const [node] = await nodesOf(site);
      const read = site.chunkStore.read.bind(site.chunkStore);
      site.chunkStore.read = async (locator, options) => {
        if (locator !== node) return read(locator, options);
        if (damage === 'no list') return Buffer.from('{');
        throw new SkerryError(damage === 'gone' ? 'NotFound' : 'Corrupt', 'rotten');
      };
      for (const key of ['large', 'other']) await site.objects.deleteObject({ bucket: BUCKET, key, owner: 'o' });
      assert.equal(await site.chunkCount(), 5);
      assert.equal((await site.metaStore.scan({ space: 'refs', limit: 100 })).length, 5);
      assert.deepEqual(await site.metaStore.scan({ space: 'queues', limit: 100 }), []);
    });
});
