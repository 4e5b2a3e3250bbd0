/** `repl-validate --deep`: every byte that versions refer to is read, and what is bad is named and replaced. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Locator } from '../../core/contracts/index.ts';
import { chunkKey, headKey } from '../../core/engine/keys.ts';
import { decodeRecord, type ChunkRow, type HeadRecord } from '../../core/engine/records.ts';
import { exchange, put } from './exchange.ts';
import { BUCKET, noise, readAll, wholeSite, type WholeSite } from './whole-site.ts';

const OPTIONS = { chunkBytes: 16_384, dedupMinBytes: 8192 } as const;
/** Enough chunks for a manifest of nodes. */
const LARGE = noise(1_000_000, 2);

async function withPair(use: (ours: WholeSite, theirs: WholeSite) => Promise<void>): Promise<void> {
  await using ours = await wholeSite({ ...OPTIONS, siteId: 'a' });
  await using theirs = await wholeSite({ ...OPTIONS, siteId: 'b' });
  await exchange(ours, theirs);
  await put(ours, 'small', noise(3000, 1));
  await put(ours, 'large', LARGE);
  await exchange(ours, theirs);
  await use(ours, theirs);
}

function supply(from: WholeSite, to: WholeSite): void {
  to.engine.healing.useSupply({
    async fetch({ hash, holder }) {
      const found = await from.engine.replica.readChunk(hash, holder);
      if (!found) return false;
      await to.engine.replica.storeChunks([{ hash, ...found }]);
      return true;
    },
  });
}

/** Other bytes that the chunk-store takes for good ones: only their hash tells. */
function lie({ chunkStore }: WholeSite, locator: Locator): void {
  const [read, readNow] = [chunkStore.read.bind(chunkStore), chunkStore.readNow?.bind(chunkStore)];
  const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte, at) => (at === 0 ? byte ^ 1 : byte));
  chunkStore.read = async (one, options) => {
    const bytes = await read(one, options);
    return one === locator && options?.start === undefined ? flip(bytes) : bytes;
  };
  chunkStore.readNow = (one) => {
    const bytes = readNow?.(one);
    return bytes && one === locator ? flip(bytes) : bytes;
  };
}

const rowOf = async ({ metaStore }: WholeSite, hash: string): Promise<ChunkRow> =>
  decodeRecord<ChunkRow>((await metaStore.get([chunkKey(hash)]))[0] as Uint8Array);

async function headOf({ metaStore }: WholeSite, key: string): Promise<HeadRecord> {
  return decodeRecord<HeadRecord>((await metaStore.get([headKey(BUCKET, key)]))[0] as Uint8Array);
}

describe('reading every byte', () => {
  test('finds nothing wrong with a sound site, and counts what it read', async () => {
    await withPair(async (ours) => {
      const { chunks, bytes, versions, badCount, unheld } = await ours.engine.auditor.verifyBytes({ repair: false });
      assert.deepEqual([versions, badCount, unheld], [2, 0, 0]);
      assert.equal(chunks, await ours.chunkCount());
      assert.ok(bytes >= LARGE.length + 3000);
    });
  });

  test('notices bytes that only their hash gives away: a small body, a chunk, a manifest node', async () => {
    for (const victim of ['body', 'chunk', 'node'] as const)
      await withPair(async (ours, theirs) => {
        const large = await headOf(ours, 'large');
        const node = large.content?.manifest.find(({ span }) => span !== undefined)?.hash ?? '';
        const [leaf] = await ours.engine.replica.children({ hash: node, length: 0, span: await spanOf(ours, node) });
        const locator =
          victim === 'body'
            ? (await headOf(ours, 'small')).local?.locator
            : (await rowOf(ours, victim === 'node' ? node : (leaf?.hash ?? ''))).locator;
        lie(ours, locator as Locator);
        const found = await ours.engine.auditor.verifyBytes({ repair: false });
        assert.deepEqual(
          found.bad.map(({ key, what, repaired }) => [key, what, repaired]),
          [[victim === 'body' ? 'small' : 'large', 'damaged', false]],
          victim,
        );
        const alone = await ours.engine.auditor.verifyBytes({ repair: true });
        assert.deepEqual([alone.repairedCount, alone.bad[0]?.reason], [0, 'there is no peer to ask']);
        supply(theirs, ours);
        const repaired = await ours.engine.auditor.verifyBytes({ repair: true });
        assert.deepEqual([repaired.badCount, repaired.repairedCount], [1, 1], victim);
        assert.equal((await ours.engine.auditor.verifyBytes({ repair: false })).badCount, 0);
        assert.deepEqual(await readAll(ours.objects, 'large'), LARGE);
      });
  });

  test('notices a chunk that no row knows any more, and fetches it', async () => {
    await withPair(async (ours, theirs) => {
      const large = await headOf(ours, 'large');
      const node = large.content?.manifest.find(({ span }) => span !== undefined)?.hash ?? '';
      const children = await ours.engine.replica.children({ hash: node, length: 0, span: await spanOf(ours, node) });
      const writes = [{ ...chunkKey(children[3]?.hash ?? ''), value: undefined }];
      await ours.metaStore.transact({}, () => ({ kind: 'write', writes, result: undefined }));
      supply(theirs, ours);
      const { bad } = await ours.engine.auditor.verifyBytes({ repair: true });
      assert.deepEqual(
        bad.map(({ key, hash, what, repaired }) => [key, hash, what, repaired]),
        [['large', children[3]?.hash, 'missing', true]],
      );
      assert.deepEqual(await readAll(ours.objects, 'large'), LARGE);
    });
  });

  test('does not take a version that still waits for its bytes for a damaged one', async () => {
    await using ours = await wholeSite({ ...OPTIONS, siteId: 'a' });
    await using theirs = await wholeSite({ ...OPTIONS, siteId: 'b' });
    await put(theirs, 'large', LARGE);
    const page = await theirs.engine.replica.opsAfter({}, { maxOps: 100, maxBytes: 1e6 });
    assert.equal(page.kind, 'ops');
    await ours.engine.replica.apply(page.kind === 'ops' ? page.ops : []);
    assert.equal((await ours.engine.auditor.verifyBytes({ repair: false })).badCount, 0);
  });
});

/** Bytes of the object under a node, as its parent says. */
async function spanOf(site: WholeSite, node: string): Promise<number> {
  const { content } = await headOf(site, 'large');
  return content?.manifest.find(({ hash }) => hash === node)?.span ?? 0;
}
