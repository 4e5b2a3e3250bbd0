/** `repl-validate --deep` on a disk that rots under its hands: what it met whole a moment ago does not end the check. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SkerryError } from '../../core/contracts/index.ts';
import { decodeRecord, type ChunkRow } from '../../core/engine/records.ts';
import { put } from './exchange.ts';
import { noise, wholeSite } from './whole-site.ts';

describe('reading every byte', () => {
  test('goes on when a manifest node rots after it was read', async () => {
    await using site = await wholeSite({ chunkBytes: 1000, dedupMinBytes: 100 });
    await put(site, 'large', noise(60_000, 1));
    await put(site, 'other', noise(3000, 2));
    const rows = (await site.metaStore.scan({ space: 'chunks', limit: 1000 })).map(({ value }) =>
      decodeRecord<ChunkRow>(value),
    );
    const node = rows.find(({ kind }) => kind === 'node')?.locator;
    const read = site.chunkStore.read.bind(site.chunkStore);
    let reads = 0;
    site.chunkStore.read = async (locator, options) => {
      if (locator === node && reads++ > 0) throw new SkerryError('Corrupt', 'rotten');
      return read(locator, options);
    };
    const { bad, versions } = await site.engine.auditor.verifyBytes({ repair: false });
    assert.deepEqual(
      bad.map(({ key, what, repaired }) => [key, what, repaired]),
      [['large', 'damaged', false]],
    );
    assert.equal(versions, 2);
    assert.equal(site.engine.auditor.damage().damaged, 1);
  });
});
