/** Rule 12: restored, cloned and doubled sites; and peers that do not mean well. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { originSite } from '../../core/engine/stamp.ts';
import {
  chunksRequest,
  helloRequest,
  opsFrame,
  opsRequest,
  pushRequest,
  putChunksRequest,
  watermarksMessage,
} from '../../core/replication/codec.ts';
import { encodeFrame } from '../../core/replication/frames.ts';
import { MemoryTransport } from '../../plugins/transport-memory/transport.ts';
import { both, Cluster, hiddenFrom } from './fixtures/cluster.ts';
import { hashOf, type ModelReplica } from './fixtures/model-replica.ts';

/** Copies the first `count` ops of its own origin into a new replica of the same origin: a restored backup. */
async function restored(cluster: Cluster, from: ModelReplica, site: string, count: number): Promise<ModelReplica> {
  const copy = cluster.model(site);
  const page = await from.opsAfter({}, { maxOps: count, maxBytes: 1 });
  if (page.kind === 'ops') await copy.apply(page.ops);
  return copy;
}

describe('rule 12', () => {
  test('a restored site finds out at the first handshake, either way round, and stands still', async () => {
    for (const dials of ['restored', 'peer'] as const) {
      const cluster = new Cluster();
      const waw = await cluster.join({ site: 'waw', replica: cluster.model('waw'), peers: [] });
      for (let i = 0; i < 5; i++) waw.replica.put(`k${i}`, []);
      const replica = cluster.model('ber');
      const ber = await cluster.join({ site: 'ber', replica, peers: dials === 'peer' ? ['waw', 'lon'] : ['waw'] });
      assert.ok(await cluster.time.until(() => replica.vector[waw.replica.origin] === 5, 60_000));
      await waw.stop();
      const old = await restored(cluster, waw.replica, 'waw', 3);
      const again = await cluster.join({ site: 'waw', replica: old, peers: dials === 'restored' ? ['ber'] : [] });
      await cluster.time.run(60_000);
      assert.deepEqual(again.facts, [{ kind: 'fenced', by: 'ber', ownSeq: 3, knownSeq: 5, diverged: false }]);
      assert.equal(old.vector[old.origin], 3);
      assert.deepEqual([(await again.replication.status()).fenced?.knownSeq, ber.facts], [5, []]);
      await cluster.stop();
    }
  });

  test('a restored site that wrote on, past what anybody knows, is found by the stamp of its last known op', async () => {
    const cluster = new Cluster();
    const waw = cluster.model('waw');
    const [first] = [waw.put('k0', []), waw.put('k1', [])];
    const ber = cluster.model('ber');
    const page = await waw.opsAfter({}, { maxOps: 9, maxBytes: 1 });
    if (page.kind === 'ops') await ber.apply(page.ops);
    const old = cluster.model('waw');
    await old.apply([{ op: first }]);
    await cluster.time.run(10);
    for (let i = 0; i < 4; i++) old.put(`other${i}`, []);
    await cluster.join({ site: 'ber', replica: ber, peers: [] });
    const again = await cluster.join({ site: 'waw', replica: old, peers: ['ber'] });
    await cluster.time.run(10_000);
    assert.deepEqual(again.facts, [{ kind: 'fenced', by: 'ber', ownSeq: 5, knownSeq: 2, diverged: true }]);
    assert.equal(ber.vector[ber.origin], undefined);
    assert.equal(ber.vector[waw.origin], 2, 'nothing of the second history got out');
    await cluster.stop();
  });

  test('a handshake alone is enough, before any op comes', async () => {
    const cluster = new Cluster();
    const waw = await cluster.join({ site: 'waw', replica: cluster.model('waw'), peers: [] });
    const origin = 'ber.0123456789abcdef';
    const call = await rawCaller(cluster, 'waw', origin);
    const vector = { [waw.replica.origin]: 5 };
    const report = { site: 'ber', origin, vector, hlc: '018c000000000000', wallMs: 1, peers: [] };
    await call('hello', helloRequest.encode({ ...report, protocol: { min: 1, max: 1 } }));
    assert.deepEqual(waw.facts, [{ kind: 'fenced', by: 'ber', ownSeq: 0, knownSeq: 5, diverged: false }]);
    await assert.rejects(call('ops', opsRequest.encode({ protocol: 1, have: {}, skip: [], waitMs: 0 })), {
      code: 'Unavailable',
    });
    await cluster.stop();
  });

  test('two live sites with one id refuse each other, and both say so', async () => {
    const cluster = new Cluster();
    const replica = cluster.model('waw', { incarnation: 'fedcba9876543210' });
    const waw = await cluster.join({ site: 'waw', replica: cluster.model('waw'), peers: [] });
    const impostor = await cluster.join({ site: 'waw', replica, peers: ['waw'], hidden: true });
    await cluster.time.run(30_000);
    assert.deepEqual(
      waw.facts.map(({ kind }) => kind),
      ['duplicate-site'],
    );
    assert.deepEqual(
      impostor.facts.map(({ kind }) => kind),
      ['duplicate-site'],
    );
    replica.put('k', []);
    await cluster.time.run(30_000);
    assert.deepEqual(waw.replica.vector, {});
    await cluster.stop();
  });

  test('an incarnation that was succeeded and still calls is refused', async () => {
    const cluster = new Cluster();
    const ber = await cluster.join({ site: 'ber', replica: cluster.model('ber'), peers: [] });
    const call = await rawCaller(cluster, 'ber', 'waw.0000000000000001');
    const later = await rawCaller(cluster, 'ber', 'waw.0000000000000002');
    const request = watermarksMessage.encode({ protocol: 1, marks: [] });
    await call('watermarks', request);
    await later('watermarks', request);
    await assert.rejects(call('watermarks', request), { code: 'Conflict' });
    assert.deepEqual(
      ber.facts.map(({ kind }) => kind),
      ['duplicate-site'],
    );
    await later('watermarks', request);
    await cluster.stop();
  });
});

describe('a hostile peer', () => {
  const HLC = '018c000000000000';
  const origin = 'evil.0123456789abcdef';
  const hash = hashOf(Buffer.from('x'));
  const REF = { hash, holder: { bucket: 'bucket', key: 'k', stamp: `${HLC}!evil!0123456789abcdef!0000000001` } };
  const report = { site: 'evil', origin, vector: {}, hlc: HLC, wallMs: 1, peers: [] };

  test('is refused with a code, nothing changes, and the others are served on', async () => {
    const cluster = new Cluster();
    const { waw, ber } = await cluster.start(both(['waw', 'ber']));
    assert.ok(waw && ber);
    const call = await rawCaller(cluster, 'waw', origin);
    const bad: readonly (readonly [string, string, Uint8Array])[] = [
      ['NotSupported', 'drop-tables', Buffer.alloc(0)],
      ['InvalidArgument', 'hello', Buffer.from('garbage')],
      [
        'InvalidArgument',
        'hello',
        helloRequest.encode({ ...report, origin: 'waw.0123456789abcdef', protocol: { min: 1, max: 1 } }),
      ],
      ['NotSupported', 'hello', helloRequest.encode({ ...report, protocol: { min: 7, max: 9 } })],
      ['NotSupported', 'ops', opsRequest.encode({ protocol: 9, have: {}, skip: [], waitMs: 0 })],
      ['InvalidArgument', 'ops', opsRequest.encode({ protocol: 1, have: { '../x': 1 }, skip: [], waitMs: 0 })],
      ['InvalidArgument', 'ops', opsRequest.encode({ protocol: 1, have: {}, skip: [], waitMs: 1e12 })],
      [
        'InvalidArgument',
        'chunks',
        chunksRequest.encode({ protocol: 1, chunks: [{ ...REF, hash: 'sha256:../../etc/passwd' }] }),
      ],
      [
        'InvalidArgument',
        'chunks',
        chunksRequest.encode({ protocol: 1, chunks: Array.from({ length: 2000 }, () => REF) }),
      ],
      ['InvalidArgument', 'push', Buffer.from([255, 255, 255, 255, 1])],
      ['InvalidArgument', 'push', encodeFrame({ protocol: 1, ops: [{ op: { type: 'x' } }] })],
    ];
    for (const [code, name, body] of bad) await assert.rejects(call(name, body), { code }, `${name} as ${code}`);
    assert.deepEqual([waw.replica.vector, waw.facts], [{}, []]);
    waw.replica.put('k', []);
    assert.ok(await cluster.time.until(() => ber.replica.vector[waw.replica.origin] === 1, 10_000));
    await cluster.stop();
  });

  test('origins that an asker skips are not sent to it', async () => {
    const cluster = new Cluster();
    const waw = await cluster.join({ site: 'waw', replica: cluster.model('waw'), peers: [] });
    const lon = cluster.model('lon');
    await waw.replica.apply([{ op: lon.put('a', []) }]);
    const own = waw.replica.put('b', []);
    const call = await rawCaller(cluster, 'waw', origin);
    const frames = await call('ops', opsRequest.encode({ protocol: 1, have: {}, skip: [lon.origin], waitMs: 0 }));
    const ops = frames
      .map((frame) => opsFrame.decode(frame))
      .flatMap((frame) => (frame.kind === 'page' ? frame.ops : []));
    assert.deepEqual(
      ops.map(({ op }) => op.stamp),
      [own.stamp],
    );
    await cluster.stop();
  });

  test('chunks that nobody asked for are not stored', async () => {
    const cluster = new Cluster();
    const waw = await cluster.join({ site: 'waw', replica: cluster.model('waw'), peers: [] });
    const call = await rawCaller(cluster, 'waw', origin);
    const bytes = Buffer.from('x');
    await call('put-chunks', putChunksRequest.encode({ protocol: 1, chunks: [{ hash, kind: 'data', bytes }] }));
    assert.equal(waw.replica.chunks.size, 0);
    await cluster.stop();
  });

  test("ops under the name of another site's future do not get past its clock, nor its own origin past the owner", async () => {
    const cluster = new Cluster();
    const waw = await cluster.join({ site: 'waw', replica: cluster.model('waw'), peers: [] });
    const call = await rawCaller(cluster, 'waw', origin);
    const forged = cluster.model('waw').put('k', []);
    await call('push', pushRequest.encode({ protocol: 1, ops: [{ op: forged }] }));
    assert.deepEqual(waw.replica.vector, {}, 'not applied');
    assert.deepEqual(
      waw.facts.map(({ kind }) => kind),
      ['fenced'],
      'and somebody is told',
    );
    await cluster.stop();
  });

  test('more calls than one peer may have are refused with SlowDown', async () => {
    const cluster = new Cluster({ callsPerPeer: 3 });
    await cluster.join({ site: 'waw', replica: cluster.model('waw'), peers: [] });
    const call = await rawCaller(cluster, 'waw', origin);
    const request = opsRequest.encode({ protocol: 1, have: {}, skip: [], waitMs: 60_000 });
    const running = [1, 2, 3].map(() => call('ops', request));
    await cluster.time.run(1);
    await assert.rejects(call('ops', request), { code: 'SlowDown' });
    await cluster.time.run(60_000);
    await Promise.all(running);
    await call('ops', opsRequest.encode({ protocol: 1, have: {}, skip: [], waitMs: 0 }));
    await cluster.stop();
  });
});

/** Calls `target` with any bytes, as the site of `origin`. */
async function rawCaller(cluster: Cluster, target: string, origin: string) {
  const transport = new MemoryTransport(hiddenFrom(cluster.hub));
  await transport.open();
  await transport.listen({ site: originSite(origin), origin }, async function* () {});
  const link = transport.dial({ site: target, url: `memory://hub/${target}` });
  return async (name: string, body: Uint8Array): Promise<readonly Uint8Array[]> => {
    const frames: Uint8Array[] = [];
    for await (const frame of link.call(name, body)) frames.push(frame);
    return frames;
  };
}
