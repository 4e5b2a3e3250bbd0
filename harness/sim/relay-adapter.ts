/**
 * The engine with the smallest exchange of ops that can be right: each site asks each peer for what it lacks, by vector, applies it
 * through the engine's own door, and fetches missing bytes by hash. It keeps no state of its own, so whatever goes wrong in a
 * run with it is the engine's.
 */
import {
  isSkerryError,
  type IncomingCall,
  type ManifestEntry,
  type PeerLink,
  type VersionVector,
} from '../../core/contracts/index.ts';
import type { Engine } from '../../core/engine/engine.ts';
import type { PendingVersion, Replica, VersionRef, WireOp } from '../../core/engine/replica-types.ts';
import { originOf } from '../../core/engine/stamp.ts';
import { runningEngine, startEngine } from './engine-adapter.ts';
import type { SiteAdapter, SitePorts } from './site.ts';

const POLL_MS = 400;
const PAGE = { maxOps: 7, maxBytes: 16 * 1024 };
const PENDING_MAX = 10;

export const relayAdapter: SiteAdapter = {
  name: 'relay',
  replicates: true,
  speaksProtocol: false,
  movesBytes: true,
  recovers: false,
  async start(ports) {
    const engine = await startEngine(ports);
    const stop = new AbortController();
    const transport = ports.makeTransport();
    await transport.open();
    await transport.listen({ site: ports.siteId, origin: originOf(ports.siteId, ports.incarnation) }, (call) =>
      serve(engine.replica, call),
    );
    const links = ports.peers.map((peer) => transport.dial(peer));
    const loops = links.map((link) => pullForEver(ports, engine, link, stop.signal));
    const running = runningEngine(engine);
    return {
      ...running,
      async close() {
        stop.abort();
        await Promise.all(links.map((link) => link.close()));
        await Promise.all(loops);
        await running.close();
        await transport.close();
      },
    };
  },
};

interface ChunkRequest {
  readonly hash: string;
  readonly holder: VersionRef;
}

async function* serve(replica: Replica, { name, body }: IncomingCall): AsyncGenerator<Uint8Array> {
  if (name === 'chunk') {
    const { hash, holder } = parse<ChunkRequest>(body);
    const chunk = await replica.readChunk(hash, holder);
    if (chunk !== undefined) yield* [encode({ kind: chunk.kind }), chunk.bytes];
    return;
  }
  let have = parse<VersionVector>(body);
  for (;;) {
    const page = await replica.opsAfter(have, PAGE);
    if (page.kind === 'gap') throw new Error(`a log that nobody trims has a gap at ${page.origin}`);
    for (const { op, body: small } of page.ops) {
      yield encode({ op, ...(small === undefined ? {} : { body: Buffer.from(small).toString('base64') }) });
      have = { ...have, [op.dot.origin]: op.dot.seq };
    }
    if (!page.more) return;
  }
}

async function pullForEver(
  { timers, logger }: SitePorts,
  engine: Engine,
  link: PeerLink,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await pullOps(engine, link, signal);
      await fetchBytes(engine.replica, link, signal);
    } catch (error) {
      // the peer is away, or this site cannot store now: the next round asks again
      if (!isSkerryError(error)) throw error;
      logger.debug({ err: error }, 'a round of replication failed');
    }
    await timers.sleep(POLL_MS, signal).catch(() => undefined);
  }
}

async function pullOps(engine: Engine, link: PeerLink, signal: AbortSignal): Promise<void> {
  const batch: WireOp[] = [];
  const apply = async (): Promise<void> => void (await engine.replica.apply(batch.splice(0)));
  for await (const frame of link.call('ops', encode(await engine.vector()), signal)) {
    const { op, body } = parse<{ readonly op: WireOp['op']; readonly body?: string }>(frame);
    batch.push({ op, ...(body === undefined ? {} : { body: Buffer.from(body, 'base64') }) });
    if (batch.length >= PAGE.maxOps) await apply();
  }
  if (batch.length > 0) await apply();
}

/** Bytes of versions that wait for them, as far as this peer has them. */
async function fetchBytes(replica: Replica, link: PeerLink, signal: AbortSignal): Promise<void> {
  for (const version of await replica.pending(PENDING_MAX)) {
    if (await fetchEntries(replica, link, version, version.entries, signal)) await replica.complete(version);
  }
}

/** Answers whether all of them are here now. */
async function fetchEntries(
  replica: Replica,
  link: PeerLink,
  version: PendingVersion,
  entries: readonly ManifestEntry[],
  signal: AbortSignal,
): Promise<boolean> {
  for (const hash of await replica.missing([...new Set(entries.map((entry) => entry.hash))])) {
    const { bucket, key, stamp } = version;
    const request: ChunkRequest = { hash, holder: { bucket, key, stamp } };
    const frames: Uint8Array[] = [];
    for await (const frame of link.call('chunk', encode(request), signal)) frames.push(frame);
    const [head, bytes] = frames;
    if (head === undefined || bytes === undefined) return false;
    const { kind } = parse<{ readonly kind: 'data' | 'node' }>(head);
    await replica.storeChunks([{ hash, kind, bytes }]);
  }
  for (const entry of entries) {
    if (entry.span === undefined) continue;
    if (!(await fetchEntries(replica, link, version, await replica.children(entry), signal))) return false;
  }
  return true;
}

const encode = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value), 'utf8');
const parse = <T>(bytes: Uint8Array): T => JSON.parse(Buffer.from(bytes).toString('utf8')) as T;
