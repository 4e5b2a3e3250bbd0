/** A real site under a hostile peer, one that knows the cluster key and one that does not: refused, logged, nothing changed, no crash, bounded memory. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { after, before, describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';

import { isSkerryError, type IncomingCall, type PeerLink, type ServeCall } from '../../core/contracts/index.ts';
import {
  chunksRequest,
  helloAnswer,
  helloRequest,
  opsFrame,
  opsRequest,
  pushRequest,
  putChunksRequest,
  watermarksMessage,
} from '../../core/replication/codec.ts';
import { encodeFrame } from '../../core/replication/frames.ts';
import { HttpTransport } from '../../plugins/transport-http/transport.ts';
import { Author, versionPut } from '../engine/support.ts';
import { identity, optionsWith } from '../plugins/transport-http/support.ts';
import { pluginDeps } from '../support/plugin-deps.ts';
import { Client } from './clients.ts';
import { CLUSTER_KEY, startCluster, type Cluster, type ClusterSite } from './cluster.ts';

const BUCKET = 'bucket';
const MIB = 1024 * 1024;
/** What a flood of some 3 GiB may add to the memory of the process: bodies in all their forms, and what the collector has not yet seen. */
const GROWTH_MAX_BYTES = 320 * MIB;
const NONE = new Uint8Array(0);

async function memoryOf(site: ClusterSite, field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${site.pid()}/status`, 'utf8');
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) * 1024;
}

interface Target {
  readonly site: ClusterSite;
  readonly url: string;
}

/** Runs the attack; afterwards the site is alive, has the state that it had, and has not grown beyond the limit. */
async function besieged(t: TestContext, { site }: Target, attack: () => Promise<void>): Promise<void> {
  const client = new Client(site, () => 0.5);
  const state = async (): Promise<string> =>
    `${await client.list(BUCKET, 'versions=')} ${JSON.stringify((await (await site.admin()).replicationStatus()).vector)}`;
  const before = await state();
  await writeFile(`/proc/${site.pid()}/clear_refs`, '5');
  const beforeBytes = await memoryOf(site, 'VmRSS');
  const pid = site.pid();
  await attack();
  const grownBytes = (await memoryOf(site, 'VmHWM')) - beforeBytes;
  assert.equal(site.pid(), pid);
  assert.equal(await state(), before);
  client.close();
  t.diagnostic(`grown by ${(grownBytes / MIB).toFixed(0)} MiB from ${(beforeBytes / MIB).toFixed(0)} MiB`);
  assert.ok(grownBytes < GROWTH_MAX_BYTES, `grown by ${(grownBytes / MIB).toFixed(0)} MiB`);
}

/** Sockets that send what they are given again and again until they are cut off or the time is over. */
async function flood(port: number, sockets: number, first: Buffer, rest: Buffer, forMs: number): Promise<void> {
  const untilMs = performance.now() + forMs;
  const one = async (): Promise<void> => {
    const socket = net.connect(port, '127.0.0.1');
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(first);
    while (!socket.destroyed && performance.now() < untilMs) {
      const isRoom = rest.length > 0 && socket.writableLength < MIB && socket.write(rest);
      await Promise.race([sleep(isRoom ? 1 : 20), gone]);
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: sockets }, one));
}

async function asPeer(name: string, serve: ServeCall, use: (transport: HttpTransport) => Promise<void>, port = 0) {
  const options = optionsWith({ clusterKey: CLUSTER_KEY, listen: { host: '127.0.0.1', port } });
  const transport = new HttpTransport(pluginDeps('unused'), options);
  await transport.open();
  await transport.listen(identity(name), serve);
  try {
    await use(transport);
  } finally {
    await transport.close();
  }
}

/** The code of the refusal, or how many frames were answered. */
async function outcomeOf(link: PeerLink, name: string, body: Uint8Array): Promise<string> {
  let frames = 0;
  try {
    for await (const _ of link.call(name, body)) frames++;
    return `${frames} frames`;
  } catch (error) {
    return isSkerryError(error) ? error.code : String(error);
  }
}

const putAfter = (author: Author, key: string) => author.write(versionPut(key, { bucket: BUCKET }));

/** Ops that can never be applied: those before them were kept back. */
function opsBehindGap(count: number) {
  const author = new Author('evil');
  putAfter(author, 'kept back');
  return Array.from({ length: count }, (_, i) => ({ op: putAfter(author, `k${i}`), body: randomBytes(6000) }));
}

describe('a hostile peer at a real site', () => {
  let cluster: Cluster;
  let target: Target;
  before(async () => {
    cluster = await startCluster({ topology: 'mesh', count: 2, bucket: BUCKET, isDirect: true, logLevel: 'silent' });
    const [site, other] = cluster.sites;
    assert.ok(site && other);
    target = { site, url: `http://127.0.0.1:${site.replicationPort}` };
    const client = new Client(site, () => 0.5);
    assert.equal((await client.send({ method: 'PUT', bucket: BUCKET, key: 'k', body: Buffer.from('x') })).status, 200);
    client.close();
    await other.kill();
  });
  after(() => cluster.close());

  test('a peer that answers without end', (t) =>
    besieged(t, target, async () => {
      const other = cluster.sites[1];
      assert.ok(other);
      const { promise: reachedOps, resolve: onOps } = Promise.withResolvers<void>();
      const reached = async (): Promise<void> => {
        await reachedOps;
        await sleep(4000);
      };
      const endless: ServeCall = async function* (call: IncomingCall) {
        const report = {
          site: other.name,
          origin: `${other.name}.fedcba9876543210`,
          vector: {},
          hlc: '018c000000000000',
          wallMs: Date.now(),
          peers: [],
        };
        if (call.name === 'hello') yield helloAnswer.encode({ ...report, protocol: 1 });
        if (call.name === 'watermarks') yield watermarksMessage.encode({ protocol: 1, marks: [] });
        if (call.name !== 'ops') return;
        onOps();
        const page = opsFrame.encode({ kind: 'page', ops: opsBehindGap(150) });
        const caughtUp = opsFrame.encode({ kind: 'caught-up', vector: {}, hlc: '018c000000000000' });
        for (let i = 0; !call.signal.aborted; i++) yield i % 100 === 99 ? page : caughtUp;
      };
      await asPeer(other.name, endless, reached, other.replicationPort);
    }));

  test('without the key: garbage, half heads, endless bodies', (t) =>
    besieged(t, target, async () => {
      const port = target.site.replicationPort;
      const head =
        'POST /skerry/1/push HTTP/1.1\r\nhost: x\r\nauthorization: Skerry1 x\r\ntransfer-encoding: chunked\r\n\r\n';
      const piece = Buffer.concat([Buffer.from('10000\r\n'), randomBytes(65_536), Buffer.from('\r\n')]);
      await Promise.all([
        flood(port, 100, randomBytes(65_536), randomBytes(65_536), 3000),
        flood(port, 200, Buffer.from('POST /skerry/1/push HTTP/1.1\r\nx: '), Buffer.alloc(0), 3000),
        flood(port, 100, Buffer.from(head), piece, 3000),
      ]);
    }));

  test('with the key: every wrong call is refused with its code', (t) =>
    besieged(t, target, () =>
      asPeer('evil', nothing, async (transport) => {
        const link = transport.dial({ site: target.site.name, url: target.url });
        const report = {
          site: 'evil',
          origin: 'evil.0123456789abcdef',
          vector: {},
          hlc: '018c000000000000',
          wallMs: 1,
          peers: [],
        };
        const ref = { hash: 'sha256:../../etc/passwd', holder: { bucket: '..', key: '../../x', stamp: '../x' } };
        const cases: readonly (readonly [string, string, Uint8Array])[] = [
          ['NotSupported', 'drop-tables', NONE],
          ['InvalidArgument', 'hello', randomBytes(1000)],
          ['InvalidArgument', 'hello', helloRequest.encode({ ...report, site: 'other', protocol: { min: 1, max: 1 } })],
          ['InvalidArgument', 'ops', opsRequest.encode({ protocol: 1, have: { '../../etc': 1 }, skip: [], waitMs: 0 })],
          ['InvalidArgument', 'chunks', chunksRequest.encode({ protocol: 1, chunks: [ref] })],
          ['InvalidArgument', 'push', encodeFrame({ protocol: 1, ops: [{ op: {}, body: 2 ** 40 }] })],
          ['InvalidArgument', 'push', Buffer.concat([Buffer.of(255, 255, 255, 255), randomBytes(100)])],
          [
            'InvalidArgument',
            'put-chunks',
            encodeFrame({ protocol: 1, chunks: [{ hash: `sha256:${'0'.repeat(64)}`, kind: 'data', length: 2 ** 50 }] }),
          ],
        ];
        for (const [code, name, body] of cases) assert.equal(await outcomeOf(link, name, body), code, name);
        const bytes = randomBytes(1000);
        const unasked = putChunksRequest.encode({
          protocol: 1,
          chunks: [{ hash: `sha256:${'0'.repeat(64)}`, kind: 'data', bytes }],
        });
        assert.equal(await outcomeOf(link, 'put-chunks', unasked), '1 frames');
      }),
    ));

  test('with the key: bodies as large and as many as can be, packed and not, and ops that can never be applied', (t) =>
    besieged(t, target, () =>
      asPeer('evil', nothing, async (transport) => {
        const link = transport.dial({ site: target.site.name, url: target.url });
        const zeros = Buffer.alloc(15 * MIB);
        assert.ok(zstdCompressSync(zeros).length < 10_000, 'which travel packed');
        const bodies = [
          randomBytes(15 * MIB),
          zeros,
          encodeFrame({ protocol: 1, ops: Array.from({ length: 4 * MIB }, () => ({})) }),
          pushRequest.encode({ protocol: 1, ops: opsBehindGap(500) }),
        ];
        const codes = new Set<string>();
        for (let round = 0; round < 2; round++)
          for (const body of bodies)
            for (const code of await Promise.all(Array.from({ length: 32 }, () => outcomeOf(link, 'push', body))))
              codes.add(code);
        for (const code of codes) assert.match(code, /^(InvalidArgument|SlowDown|Unavailable|1 frames)$/);
      }),
    ));

  test('and an honest peer is served as before', async () => {
    await cluster.sites[1]?.start();
    const [site, other] = cluster.sites;
    assert.ok(site && other);
    const wanted = JSON.stringify((await (await site.admin()).replicationStatus()).vector[await originOf(site)]);
    for (;;) {
      const { vector } = await (await other.admin()).replicationStatus();
      if (JSON.stringify(vector[await originOf(site)]) === wanted) return;
      await sleep(50);
    }
  });
});

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function originOf(site: ClusterSite): Promise<string> {
  return (await (await site.admin()).replicationStatus()).origin;
}
