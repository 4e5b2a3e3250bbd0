/** Rule 12: whether what a peer knows of a restored site is more of its history, or another one. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { createProver, type Prover, type Verdict } from '../../core/replication/prover.ts';
import { MemoryTransport } from '../../plugins/transport-memory/transport.ts';
import { silentLogger } from '../engine/fake-stores.ts';
import { Cluster } from './fixtures/cluster.ts';
import type { ModelReplica } from './fixtures/model-replica.ts';
import { seededRandom } from './fixtures/virtual-time.ts';

const OPS = 12;

interface Rig {
  readonly cluster: Cluster;
  /** Has all of waw. */
  readonly ber: ModelReplica;
  readonly waw: ModelReplica;
}

/** ber has all ops of waw; waw was put back to its first `kept`, and wrote `more` since. */
async function rig(kept: number, more: number): Promise<Rig> {
  const cluster = new Cluster();
  const original = cluster.model('waw');
  for (let i = 0; i < OPS; i++) original.put(`k${i}`, []);
  const [ber, waw] = [cluster.model('ber'), cluster.model('waw')];
  const all = await original.opsAfter({}, { maxOps: OPS, maxBytes: 1 });
  assert.equal(all.kind, 'ops');
  if (all.kind !== 'ops') throw new Error('a gap');
  await ber.apply(all.ops);
  await waw.apply(all.ops.slice(0, kept));
  await cluster.time.run(1000);
  for (let i = 0; i < more; i++) waw.put(`other${i}`, []);
  return { cluster, ber, waw };
}

/** `dials`: who calls whom. */
async function prove(
  { cluster, ber, waw }: Rig,
  dials: 'waw' | 'ber',
): Promise<{ prover: Prover; verdict: () => Verdict | undefined }> {
  await cluster.join({ site: 'ber', replica: ber, peers: dials === 'ber' ? ['waw'] : [] });
  const { clock, timers } = cluster.time;
  const transport = new MemoryTransport(cluster.hub);
  await transport.open();
  const prover = createProver({
    replica: waw,
    transport,
    self: { site: 'waw', origin: waw.origin },
    peers: dials === 'waw' ? [{ site: 'ber', url: 'memory://hub/ber' }] : [],
    ports: { clock, timers, random: seededRandom(1), logger: silentLogger },
  });
  await prover.open();
  let verdict: Verdict | undefined;
  void prover.verdict().then((found) => (verdict = found));
  await cluster.time.run(60_000);
  return { prover, verdict: () => verdict };
}

describe('a restored site asks for a proof', () => {
  for (const dials of ['waw', 'ber'] as const) {
    test(`the same history, cut short (${dials} dials)`, async () => {
      for (const kept of [0, 1, 7]) {
        const { prover, verdict } = await prove(await rig(kept, 0), dials);
        assert.deepEqual(verdict(), { kind: 'shared', by: 'ber', knownSeq: OPS }, `${kept} ops left`);
        await prover.close();
      }
    });

    test(`another history, found although it is as long as, or shorter than, what is known (${dials} dials)`, async () => {
      for (const [kept, more] of [
        [7, 1],
        [7, 3],
        [0, 2],
        [7, 5],
      ] as const) {
        const { prover, verdict } = await prove(await rig(kept, more), dials);
        const found = verdict();
        assert.deepEqual([found?.kind, found?.by], ['diverged', 'ber'], `${kept} left, ${more} written`);
        if (dials === 'waw' && found?.kind === 'diverged') assert.equal(found.sharedSeq, kept);
        await prover.close();
      }
    });
  }

  test('a peer that has trimmed the op proves nothing, and is named', async () => {
    for (const dials of ['waw', 'ber'] as const) {
      const given = await rig(7, 0);
      given.ber.trim(given.waw.origin, 9);
      const { prover, verdict } = await prove(given, dials);
      assert.deepEqual([verdict(), prover.unproven()], [undefined, ['ber']], `${dials} dials`);
      await prover.close();
    }
  });

  test('a peer that knows no more proves nothing', async () => {
    const given = await rig(7, 0);
    const ber = given.cluster.model('ber');
    const page = await given.waw.opsAfter({}, { maxOps: OPS, maxBytes: 1 });
    if (page.kind === 'ops') await ber.apply(page.ops);
    const { prover, verdict } = await prove({ ...given, ber }, 'waw');
    assert.deepEqual([verdict(), prover.unproven()], [undefined, []]);
    await prover.close();
  });
});
