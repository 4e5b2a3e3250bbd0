/** The background check (rule 16), and what peers may do to it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { Logger } from '../../core/contracts/index.ts';
import { digestLeaves } from '../../core/engine/digest-tree.ts';
import { digestKey } from '../../core/engine/keys.ts';
import { encodeFrame, decodeFrame } from '../../core/replication/frames.ts';
import { noise } from '../engine/whole-site.ts';
import { silentLogger } from '../engine/fake-stores.ts';
import { Author, storeAfter, versionPut } from '../engine/support.ts';
import { auditorOf, servedBy, validate, type Frames } from './fixtures/audited.ts';
import { both, Cluster } from './fixtures/cluster.ts';
import { BUCKET, drive, joinEngine, type EngineSite } from './fixtures/engine-site.ts';

const INTERVAL_MS = 60_000;

interface Pair {
  readonly cluster: Cluster;
  readonly waw: EngineSite;
  readonly ber: EngineSite;
  readonly errors: readonly string[];
}

async function withPair(use: (pair: Pair) => Promise<void>): Promise<void> {
  const cluster = new Cluster({ longPollMs: 1000, backoffMaxMs: 2000, validateIntervalMs: INTERVAL_MS });
  const errors: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    error: (_: unknown, message: string) => void errors.push(message),
  };
  const edges = both(['waw', 'ber']);
  const peersOf = (site: string): string[] => edges.filter(([from]) => from === site).map(([, to]) => to);
  const waw = await joinEngine(cluster, 'waw', peersOf('waw'), { logger });
  const ber = await joinEngine(cluster, 'ber', peersOf('ber'));
  await drive(cluster, waw.objects.createBucket({ bucket: BUCKET, owner: 'owner' }));
  await waw.put('k', noise(300, 1));
  await cluster.time.run(5000);
  await use({ cluster, waw, ber, errors });
  await waw.stop();
  await ber.stop();
}

async function outcomeAt(cluster: Cluster, { replication }: EngineSite, peer: string) {
  return (await drive(cluster, replication.status())).integrity.peers[peer];
}

describe('the background check', () => {
  test('compares with each connected peer, and says when', async () => {
    await withPair(async ({ cluster, waw, ber, errors }) => {
      assert.equal(await outcomeAt(cluster, waw, 'ber'), undefined);
      await cluster.time.run(INTERVAL_MS);
      const found = await outcomeAt(cluster, waw, 'ber');
      assert.deepEqual([found?.outcome, found?.equalAtMs], ['equal', found?.atMs]);
      assert.equal((await outcomeAt(cluster, ber, 'waw'))?.outcome, 'equal');
      assert.deepEqual(errors, []);
    });
  });

  test('a peer that has seen the same and holds another state is an error, until it is put right', async () => {
    await withPair(async ({ cluster, waw, ber, errors }) => {
      const [leaf] = await digestLeaves(ber.metaStore);
      const writes = [{ ...digestKey(leaf?.[0] ?? 0), value: Buffer.alloc(16, 9) }];
      await ber.metaStore.transact({}, () => ({ kind: 'write', writes, result: undefined }));
      await cluster.time.run(INTERVAL_MS);
      const found = await outcomeAt(cluster, waw, 'ber');
      assert.deepEqual([found?.outcome, found?.equalAtMs], ['different', undefined]);
      assert.match(errors.join(), /run repl-validate/);
      const { auditor } = ber.engine;
      await drive(
        cluster,
        auditor.count().then((count) => auditor.settle(count)),
      );
      await cluster.time.run(INTERVAL_MS);
      assert.equal((await outcomeAt(cluster, waw, 'ber'))?.outcome, 'equal');
    });
  });

  test('a peer that is out of reach is not asked; what was found before stays', async () => {
    await withPair(async ({ cluster, waw }) => {
      await cluster.time.run(INTERVAL_MS);
      const before = await outcomeAt(cluster, waw, 'ber');
      cluster.network.cut('waw', 'ber');
      await cluster.time.run(2 * INTERVAL_MS);
      assert.deepEqual(await outcomeAt(cluster, waw, 'ber'), before);
    });
  });
});

describe('hostile answers to digest calls', () => {
  async function stores() {
    const author = new Author('a');
    const ops = [
      author.write({ type: 'bucket.create', bucket: 'bkt', owner: 'o', createdAtMs: 1 }),
      author.write(versionPut('k')),
      author.write({ type: 'policy.put', id: 'p', value: 1 }),
    ] as const;
    const [ours, theirs] = [await storeAfter(ops), await storeAfter(ops)];
    // something to walk down to
    const [row] = await ours.scan({ space: 'registers', limit: 1 });
    const writes = [{ space: 'registers' as const, key: row?.key as Uint8Array, value: undefined }];
    await ours.transact({}, () => ({ kind: 'write', writes, result: undefined }));
    return { ours, theirs };
  }

  type Head = Record<string, unknown>;
  const changed = (call: string, change: (head: Head) => unknown): Frames =>
    async function* (name, frames) {
      for await (const frame of frames) {
        const head = decodeFrame(frame).head as Head;
        yield name === call ? encodeFrame(change(structuredClone(head)) as object) : frame;
      }
    };
  const entities = (head: Head): Head[] => (head['entities'] ?? []) as Head[];
  const each = (change: (entity: Head) => object) => (head: Head) => ({
    ...head,
    entities: entities(head).map(change),
  });
  const stampOf = (seq: string): string => `00ffffffffff0000!zzz!0123456789abcdef!${seq}`;

  const lies: Readonly<Record<string, Frames>> = {
    'bytes that are no frame': async function* () {
      yield Buffer.from('nonsense');
    },
    'nothing at all': async function* () {},
    'a root that is not of its leaves': changed('digest', (head) => ({
      ...head,
      ...(head['root'] ? { root: 'f'.repeat(64) } : {}),
    })),
    'leaves that do not exist': changed('digest', (head) => ({
      ...head,
      ...(head['leaves'] ? { leaves: [[4096, '0'.repeat(32)]] } : {}),
    })),
    'leaves out of order': changed('digest', (head) => ({
      ...head,
      ...(head['leaves']
        ? {
            leaves: [
              [5, '0'.repeat(32)],
              [4, '0'.repeat(32)],
            ],
          }
        : {}),
    })),
    'an entity of a leaf that was not asked for': changed('digest-entities', (head) =>
      head['vector']
        ? head
        : {
            entities: [
              { path: { kind: 'bucket', bucket: 'elsewhere' }, stamp: stampOf('0000000001'), digest: '0'.repeat(32) },
            ],
          },
    ),
    'a path-like bucket': changed(
      'digest-entities',
      each((entity) => ({ ...entity, path: { kind: 'bucket', bucket: '../../etc' } })),
    ),
    'an entity of an op that its vector does not cover': changed(
      'entities',
      each((entity) => ({ ...entity, register: { value: 'theirs', stamp: stampOf('0000000009') } })),
    ),
    'a register without a value': changed(
      'entities',
      each(({ register: _, ...entity }) => entity),
    ),
    'what only a site itself knows': changed('entities', (head) => ({
      ...head,
      entities: [
        {
          kind: 'version',
          bucket: 'bkt',
          key: 'k',
          live: true,
          seen: true,
          version: { stamp: stampOf('0000000001'), local: { locator: 'x' } },
        },
      ],
    })),
    'a million entities': async function* (name, frames) {
      if (name !== 'digest-entities') return yield* frames;
      for await (const frame of frames) {
        const head = decodeFrame(frame).head as Head;
        const many = Array.from({ length: 1000 }, () => entities(head)[0]);
        yield frame;
        if (entities(head).length > 0) for (let i = 0; i < 1000; i++) yield encodeFrame({ entities: many });
      }
    },
  };

  for (const [name, lie] of Object.entries(lies))
    test(`${name}: refused, nothing is changed`, async () => {
      const { ours, theirs } = await stores();
      const spaces = ['heads', 'versions', 'buckets', 'registers', 'digest', 'counters'] as const;
      const before = await Promise.all(spaces.map((space) => ours.scan({ space, limit: 100 })));
      const { peers, isSound } = await validate(ours, servedBy(auditorOf(theirs), lie), { repair: true });
      assert.deepEqual([peers[0]?.outcome, isSound], ['failed', false], peers[0]?.error);
      assert.deepEqual(await Promise.all(spaces.map((space) => ours.scan({ space, limit: 100 }))), before);
    });

  test('an honest answer is taken', async () => {
    const { ours, theirs } = await stores();
    assert.equal((await validate(ours, servedBy(auditorOf(theirs)), { repair: true })).isSound, true);
  });
});
