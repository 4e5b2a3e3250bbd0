/** Conflicts between two whole sites: listed alike, readable while listed, ended everywhere by one resolution. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { exchange, put, readVersion } from './exchange.ts';
import { dump } from './support.ts';
import { BUCKET, noise, wholeSite, type WholeSite } from './whole-site.ts';

const OPTIONS = { chunkBytes: 16_384, dedupMinBytes: 8192 } as const;
const KEY = { bucket: BUCKET, key: 'k' } as const;

async function twoSites(versioning?: 'Enabled' | 'Suspended'): Promise<readonly [WholeSite, WholeSite]> {
  const [a, b] = [await wholeSite({ ...OPTIONS, siteId: 'a' }), await wholeSite({ ...OPTIONS, siteId: 'b' })];
  if (versioning) await a.objects.putBucketSetting(BUCKET, 'versioning', versioning);
  await exchange(a, b);
  return [a, b];
}

async function sameState(a: WholeSite, b: WholeSite): Promise<void> {
  assert.deepEqual((await a.engine.replica.cut()).vector, (await b.engine.replica.cut()).vector);
  assert.equal(await dump(a.metaStore), await dump(b.metaStore));
}

const conflictsOf = async ({ objects }: WholeSite) =>
  (await objects.listConflicts({ bucket: BUCKET, limit: 10 })).entries;

describe('conflicts', () => {
  test('two puts unseen by each other are listed on both sites, the loser can be read by its id, and the current version says so', async () => {
    const [a, b] = await twoSites();
    await using _a = a;
    await using _b = b;
    await put(a, 'k', 'from a');
    await put(b, 'k', noise(50_000, 1));
    await exchange(a, b);
    const [conflict, ...more] = await conflictsOf(a);
    assert.deepEqual(await conflictsOf(b), [conflict, ...more]);
    assert.ok(conflict);
    assert.deepEqual(more, []);
    const { winner, losers, shownAs } = conflict;
    assert.deepEqual([winner.site, losers.map(({ site }) => site), shownAs], ['b', ['a'], 'conflict']);
    assert.deepEqual([losers[0]?.kind, losers[0]?.size, losers[0]?.nullVersion], ['object', 6, true]);
    for (const site of [a, b]) {
      assert.equal(String(await readVersion(site, 'k', losers[0]?.versionId)), 'from a');
      assert.equal((await site.objects.headObject(KEY)).info.conflict, true);
      assert.deepEqual(await site.objects.countConflicts(), { [BUCKET]: 1 });
      assert.deepEqual(await site.objects.listSiblings(KEY), []);
    }
    await put(a, 'k', 'saw both');
    await assert.rejects(readVersion(a, 'k', losers[0]?.versionId), { code: 'NoSuchVersion' });
    assert.equal((await a.objects.headObject(KEY)).info.conflict, undefined);
    assert.deepEqual(await conflictsOf(a), []);
    assert.deepEqual(await a.objects.countConflicts(), {});
    await assert.rejects(a.objects.getConflict(KEY), { code: 'NotFound' });
  });

  test('a put lost to a removal is listed, and an answer that there is no such key says so', async () => {
    const [a, b] = await twoSites();
    await using _a = a;
    await using _b = b;
    await put(a, 'k', 'one');
    await exchange(a, b);
    await put(a, 'k', 'two');
    b.clock.wallMs += 1000;
    await b.objects.deleteObject({ ...KEY, owner: 'o' });
    await exchange(a, b);
    await sameState(a, b);
    const { winner, losers } = await a.objects.getConflict(KEY);
    assert.deepEqual([winner.kind, winner.site, losers.length], ['removal', 'b', 1]);
    await assert.rejects(a.objects.openObject(KEY), (error: { code: string; details: object }) => {
      assert.deepEqual([error.code, error.details], ['NoSuchKey', { key: 'k', conflict: true }]);
      return true;
    });
    assert.equal(String(await readVersion(b, 'k', losers[0]?.versionId)), 'two');
    await a.objects.resolveConflict({ ...KEY, choose: losers[0]?.versionId ?? '', owner: 'o' });
    await exchange(a, b);
    await sameState(a, b);
    assert.equal(String(await readVersion(b, 'k')), 'two');
  });

  test('pages go over keys in byte order, each once, within the prefix', async () => {
    const [a, b] = await twoSites();
    await using _a = a;
    await using _b = b;
    const keys = ['a', 'a\0b', 'a\0', 'ab', 'b/1', 'b/2', 'c', 'é'];
    for (const site of [a, b]) for (const key of keys) await put(site, key, `${site.engine.replica.origin} ${key}`);
    await exchange(a, b);
    const inOrder = keys.toSorted((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
    for (const [prefix, limit] of [
      ['', 1],
      ['', 3],
      ['', 1000],
      ['a', 2],
      ['b/', 1],
      ['zz', 5],
    ] as const) {
      const found: string[] = [];
      let after: string | undefined;
      do {
        const page = await a.objects.listConflicts({
          bucket: BUCKET,
          prefix,
          limit,
          ...(after === undefined ? {} : { after }),
        });
        assert.ok(page.entries.length <= limit);
        assert.equal(page.truncated, page.next !== undefined);
        found.push(...page.entries.map(({ key }) => key));
        after = page.next;
      } while (after !== undefined);
      assert.deepEqual(
        found,
        inOrder.filter((key) => key.startsWith(prefix)),
      );
    }
    await assert.rejects(a.objects.listConflicts({ bucket: 'absent', limit: 1 }), { code: 'NoSuchBucket' });
    for (const limit of [0, 1001, 1.5])
      await assert.rejects(a.objects.listConflicts({ bucket: BUCKET, limit }), { code: 'InvalidArgument' });
  });

  test('the resolver says what losers are shown as; one that names another winner is overruled and reported', async () => {
    const errors: object[] = [];
    await using a = await wholeSite({ siteId: 'a' });
    await using b = await wholeSite({
      siteId: 'b',
      logger: { error: (fields) => void errors.push(fields) },
      conflictResolver: { resolve: (versions) => ({ winner: versions.at(-1)?.stamp ?? '', losers: 'sibling' }) },
    });
    await exchange(a, b);
    const { stamp } = await put(a, 'k', 'a');
    await put(b, 'k', 'b');
    await exchange(a, b);
    const { winner, losers, shownAs } = await b.objects.getConflict(KEY);
    assert.deepEqual([winner.site, losers.map((loser) => loser.stamp), shownAs], ['b', [stamp], 'sibling']);
    assert.deepEqual(await b.objects.listSiblings(KEY), [losers[0]?.versionId]);
    assert.equal(errors.length, 2);
  });
});

describe('resolving a conflict', () => {
  test('a side that is not listed, a key that is not in conflict, and bytes that are not here are refused', async () => {
    const [a, b] = await twoSites();
    await using _a = a;
    await using _b = b;
    await assert.rejects(a.objects.resolveConflict({ ...KEY, choose: 'current', owner: 'o' }), { code: 'NotFound' });
    const lost = await put(a, 'k', noise(50_000, 2));
    await put(b, 'k', 'b');
    const page = await a.engine.replica.opsAfter((await b.engine.replica.cut()).vector, { maxOps: 9, maxBytes: 1e6 });
    assert.ok(page.kind === 'ops');
    await b.engine.replica.apply(page.ops);
    const choose = lost.stamp.replaceAll('!', '.');
    assert.equal((await b.objects.getConflict(KEY)).losers[0]?.pending, true);
    await assert.rejects(b.objects.resolveConflict({ ...KEY, choose, owner: 'o' }), { code: 'Unavailable' });
    await assert.rejects(b.objects.resolveConflict({ ...KEY, choose: 'x', owner: 'o' }), { code: 'NotFound' });
  });

  for (const versioning of [undefined, 'Enabled', 'Suspended'] as const) {
    test(`whatever was chosen is current on both sites, nothing is in conflict any more, "all" loses no bytes (versioning ${versioning ?? 'off'})`, async () => {
      const action = fc.record({
        site: fc.nat(1),
        size: fc.constantFrom(0, 10, 9000, 50_000),
        kind: fc.constantFrom('put', 'put', 'put', 'delete', 'exchange', 'version'),
      });
      await fc.assert(
        fc.asyncProperty(
          fc.array(action, { minLength: 2, maxLength: 10 }),
          fc.constantFrom('current', 'all', 'loser'),
          fc.nat(1),
          async (actions, choose, resolver) => {
            const [a, b] = await twoSites();
            await using _a = a;
            await using _b = b;
            // A null version from before, so that registers and versions meet.
            await put(a, 'k', 'before');
            if (versioning) await a.objects.putBucketSetting(BUCKET, 'versioning', versioning);
            let known = false;
            for (const [i, { site, size, kind }] of actions.entries()) {
              const here = [a, b][site] as WholeSite;
              here.clock.wallMs += i;
              if (kind === 'put') await put(here, 'k', noise(size, i + 1));
              else if (kind === 'delete') await here.objects.deleteObject({ ...KEY, owner: 'o' });
              else if (kind === 'exchange') await exchange(a, b);
              else if (versioning && !known)
                known = (await b.objects.putBucketSetting(BUCKET, 'versioning', versioning), true);
            }
            await exchange(a, b);
            await sameState(a, b);
            const [conflict] = await conflictsOf(a);
            if (!conflict) return;
            const { winner, losers } = conflict;
            const here = [a, b][resolver] as WholeSite;
            const chosen = choose === 'loser' ? losers[0] : winner;
            const wanted = chosen?.kind === 'object' ? await readVersion(here, 'k', idOf(chosen, winner)) : undefined;
            const objects = losers.filter(({ kind }) => kind === 'object');
            const lost = await Promise.all(objects.map(({ versionId }) => readVersion(here, 'k', versionId)));
            const input = { ...KEY, choose: choose === 'loser' ? (losers[0]?.versionId ?? '') : choose, owner: 'o' };
            const resolved = await here.objects.resolveConflict(input);
            await exchange(a, b);
            await sameState(a, b);
            assert.equal(resolved.ended, losers.length);
            for (const site of [a, b]) {
              assert.deepEqual(await conflictsOf(site), []);
              if (wanted) assert.deepEqual(await readVersion(site, 'k'), wanted);
              else await assert.rejects(readVersion(site, 'k'), { code: 'NoSuchKey' });
              if (choose !== 'all') continue;
              const held = await everything(site);
              for (const bytes of lost)
                assert.ok(
                  held.some((one) => one.equals(bytes)),
                  'a loser was lost',
                );
            }
          },
        ),
        { numRuns: 40, seed: 7 },
      );
    });
  }
});

/** The winner is read as the current version: a null version has no other id. */
const idOf = (side: { readonly versionId: string }, winner: object): string | undefined =>
  side === winner ? undefined : side.versionId;

/** Bytes of all versions in the bucket. */
async function everything(site: WholeSite): Promise<readonly Buffer[]> {
  const { entries } = await site.objects.listVersions({ bucket: BUCKET, limit: 1000 });
  const objects = entries.filter(({ marker }) => !marker);
  return Promise.all(objects.map(({ key, versionId }) => readVersion(site, key, versionId)));
}
