/** What lost a conflict is listed for a time, and then goes everywhere, by an op. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exchange, put, readVersion } from './exchange.ts';
import { Author, dump } from './support.ts';
import { BUCKET, readAll, wholeSite, type WholeSite, type WholeSiteOptions } from './whole-site.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const KEY = { bucket: BUCKET, key: 'k' };

const site = (siteId: string, options: WholeSiteOptions = {}): Promise<WholeSite> =>
  wholeSite({ siteId, conflictRetentionMs: 30 * DAY_MS, ...options });

async function fight(a: WholeSite, b: WholeSite): Promise<void> {
  await Promise.all([put(a, 'k', 'from a'), put(b, 'k', 'from b')]);
  await exchange(a, b);
}

async function losersOf({ objects }: WholeSite): Promise<number> {
  return (await objects.listConflicts({ bucket: BUCKET, limit: 10 })).entries.flatMap(({ losers }) => losers).length;
}

const collect = async ({ engine }: WholeSite): Promise<number> => (await engine.space.gcRun()).freed.conflictLosers;

/** A pass now and one when the time has passed. */
async function collectAfter(one: WholeSite, afterMs: number): Promise<number> {
  await collect(one);
  one.clock.wallMs += afterMs;
  return collect(one);
}

describe('retention of what lost a conflict', () => {
  test('it goes when its time is over, at every site, bytes and all; what is current stays', async () => {
    await using a = await site('a');
    await using b = await site('b');
    await fight(a, b);
    assert.equal(await collectAfter(a, 30 * DAY_MS - 1), 0);
    assert.deepEqual([await losersOf(a), await losersOf(b)], [1, 1]);
    a.clock.wallMs += 1;
    assert.equal((await a.engine.space.gcPlan()).garbage.conflictLosers, 1);
    assert.equal(await collect(a), 1);
    b.clock.wallMs = a.clock.wallMs;
    await exchange(a, b);
    assert.deepEqual([await losersOf(a), await losersOf(b)], [0, 0]);
    assert.equal(await dump(a.metaStore), await dump(b.metaStore));
    for (const one of [a, b]) {
      assert.equal(String(await readAll(one.objects, 'k')), 'from b');
      assert.equal(await one.chunkCount(), 1, 'the loser gave its bytes back');
      assert.deepEqual(await one.metaStore.scan({ space: 'queues', limit: 10 }), []);
    }
  });

  test('both sites may do it at once, and the time counts from when the conflict was seen, not from when it was written', async () => {
    await using a = await site('a');
    await using b = await site('b');
    await Promise.all([put(a, 'k', 'from a'), put(b, 'k', 'from b')]);
    for (const one of [a, b]) one.clock.wallMs += 100 * DAY_MS;
    await exchange(a, b);
    assert.deepEqual([await collectAfter(a, DAY_MS), await collectAfter(b, DAY_MS)], [0, 0]);
    for (const one of [a, b]) one.clock.wallMs += 29 * DAY_MS;
    assert.deepEqual([await collect(a), await collect(b)], [1, 1]);
    await exchange(a, b);
    assert.equal(await dump(a.metaStore), await dump(b.metaStore));
    assert.deepEqual([await losersOf(a), await losersOf(b)], [0, 0]);
  });

  test('0 keeps it for ever; so do siblings, which stay until somebody resolves them, and a legal hold', async () => {
    const keepBoth: NonNullable<WholeSiteOptions['conflictResolver']> = {
      resolve: (versions) => ({
        winner:
          versions
            .map(({ stamp }) => stamp)
            .toSorted()
            .at(-1) ?? '',
        losers: 'sibling',
      }),
    };
    await using a = await site('a', { conflictRetentionMs: 0 });
    await using b = await site('b', { conflictResolver: keepBoth });
    await using c = await site('c');
    await fight(a, b);
    await exchange(a, c);
    const { losers } = await a.objects.getConflict(KEY);
    const [loser] = losers;
    assert.ok(loser);
    const { versionId, stamp } = loser;
    assert.deepEqual([await collectAfter(a, 1000 * DAY_MS), await collectAfter(b, 1000 * DAY_MS)], [0, 0]);
    const hold = { type: 'version.setting', ...KEY, target: stamp, name: 'legalHold', value: 'ON' } as const;
    const author = new Author('d');
    const page = await a.engine.replica.opsAfter({}, { maxOps: 100, maxBytes: 1e6 });
    for (const { op } of page.kind === 'ops' ? page.ops : []) author.see(op);
    await c.engine.replica.apply([{ op: author.write(hold, c.clock.wallMs) }]);
    assert.equal(await collectAfter(c, 31 * DAY_MS), 0);
    for (const one of [a, b, c]) assert.equal(String(await readVersion(one, 'k', versionId)), 'from a');
  });

  test('a version that was removed as a loser by one site, and loses only now at another, is not listed there', async () => {
    await using a = await site('a');
    await using b = await site('b');
    await using c = await site('c');
    await put(a, 'k', 'from a');
    await exchange(a, c);
    await put(b, 'k', 'from b');
    await exchange(a, b);
    assert.equal(await collectAfter(a, 30 * DAY_MS), 1);
    c.clock.wallMs = a.clock.wallMs;
    await exchange(a, c);
    assert.deepEqual([await losersOf(c), String(await readAll(c.objects, 'k'))], [0, 'from b']);
    assert.equal(await dump(a.metaStore), await dump(c.metaStore));
  });
});
