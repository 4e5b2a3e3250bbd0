/**
 * Bugs that the simulator found. Each can be planted again: then its seed breaks a promise as it did, and without it does not. Seeds
 * whose bug cannot be planted as one patch, or was the harness's own, are run as they are.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mutations } from '../../../harness/mutations/index.ts';
import { runMany, type WorldName } from '../../../harness/sim/run-many.ts';

interface Found {
  readonly mutation: string;
  readonly seed: number;
  readonly was: string;
}

const PLANTED: readonly Found[] = [
  {
    mutation: 'runningAppendTrusted',
    seed: 101189,
    was: 'a record whose append was under way when a sync failed was relied on after the next one',
  },
  {
    mutation: 'lateReadersIgnored',
    seed: 100,
    was: 'garbage collection waited for reads that ran when a chunk was queued, not for those of a version that held it since',
  },
  {
    mutation: 'peerSaysWhatANodeIs',
    seed: 8,
    was: 'a peer that had a manifest node as data made the asker collect what the node held',
  },
];

const SEEDS: readonly (readonly [WorldName, number, string])[] = [
  ['replication', 37, 'a version that was superseded while it was fetched was told as an error'],
  ['replication', 153, 'the same'],
  ['replication', 20466, 'a chunk that was let go of twice was freed under a reader'],
  [
    'replication',
    21202,
    'a manifest node that came between two looks was sent as data, and what it held was collected',
  ],
  ['replication', 8002, 'forgetting a lease that ran out made the purge in the same commit fail'],
  ['replication', 38, 'a site that wrote nothing but its own name was refused as too old for ever'],
  [
    'replication',
    140,
    'a removed version held chunks under a node that it never fetched: the harness called it a loss',
  ],
  ['replication', 30295, 'a wiped site took back a removal of its own: the harness judged it as one made now'],
  [
    'replication',
    104923,
    'DELETE in a bucket that had come back without its versioning left a numbered version current',
  ],
  [
    'replication',
    107041,
    'a clock jumped back between a decision and its commit: the harness judged by the later reading',
  ],
  ['replication', 200426, 'late messages of before a restart made peers refuse a site for two minutes'],
  ['replication', 107666, 'ops were given up that a site lacked which had become a member a moment before'],
  ['relay', 201024, 'a slow reader met the end of a site that was stopped: the harness took it for a wrong answer'],
  ['replication', 409903, 'a clock that jumped while a peer that had agreed before was being heard was believed'],
  [
    'replication',
    402467,
    'the snapshot of a site that only dials out broke off, and its peer could not ask for the rest',
  ],
  [
    'replication',
    406243,
    'a version on its way was uncovered whose predecessor was gone: the harness expected that one',
  ],
  [
    'replication',
    407924,
    'Object Lock arrived before the versioning setting that comes with it: the harness knew only that',
  ],
  ['replication', 910437501, 'bits rotted in the parts of an open upload: the harness asked the audit to mend them'],
  [
    'replication',
    582900174,
    'a damaged frame within a call over a lent link: the harness took the refusal for an error',
  ],
];

const run = (world: WorldName, seed: number, mutation?: string) =>
  runMany({ seeds: [seed], world, workers: 1, repeatEvery: 0, ...(mutation === undefined ? {} : { mutation }) });

describe('what the simulator found', () => {
  for (const { mutation, seed, was } of PLANTED) {
    test(`${mutation}: ${was}`, async () => {
      const planted = mutations.find(({ name }) => name === mutation);
      assert.ok(planted);
      assert.deepEqual((await run(planted.world, seed)).failed, []);
      assert.equal((await run(planted.world, seed, mutation)).failed.length, 1, 'planted again, it is noticed');
    });
  }

  for (const [world, seed, was] of SEEDS) {
    test(`world ${world}, seed ${seed}: ${was}`, async () => {
      const { failed } = await run(world, seed);
      assert.deepEqual(
        failed.flatMap(({ failures }) => failures),
        [],
      );
    });
  }
});
