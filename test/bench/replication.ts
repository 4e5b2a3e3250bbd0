/** `npm run bench -- replication`: two sites as processes of their own, over loopback. Medians over the rounds, targets beside them. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ReplicationStatus } from '../../core/contracts/index.ts';
import { coversVector } from '../../core/engine/vector.ts';
import { CREDENTIALS, startCluster, type Cluster, type ClusterSite } from '../cluster/cluster.ts';
import { BUCKET, startGenerator } from './generator-process.ts';
import { Pool } from './pool.ts';
import { median } from './report.ts';
import type { RoundResult, Scenario } from './scenarios.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const SMALL_BYTES = 4 * KIB;
const LARGE_BYTES = 64 * MIB;
const POLL_MS = 10;
/** Every so many writes of the paced load one is looked for at the peer. */
const PROBE_EVERY = 8;

export interface ReplicationBench {
  readonly rounds: number;
  readonly scale: number;
}

interface Line {
  readonly what: string;
  readonly value: string;
  readonly target?: string;
  readonly isMet?: boolean;
}

interface Pair {
  readonly cluster: Cluster;
  readonly waw: ClusterSite;
  readonly ber: ClusterSite;
}

async function withPair<T>(isDirect: boolean, use: (pair: Pair) => Promise<T>): Promise<T> {
  const cluster = await startCluster({ topology: 'mesh', count: 2, bucket: BUCKET, isDirect });
  try {
    const [waw, ber] = cluster.sites;
    if (!waw || !ber) throw new Error('a pair is two');
    await caughtUp(waw, ber);
    return await use({ cluster, waw, ber });
  } finally {
    await cluster.close();
  }
}

const statusOf = async (site: ClusterSite): Promise<ReplicationStatus> => (await site.admin()).replicationStatus();

/** When the second site has all that the first has, bytes included; calls back with each look. */
async function caughtUp(from: ClusterSite, to: ClusterSite, onLook: (status: ReplicationStatus) => void = () => {}) {
  const wanted = (await statusOf(from)).vector;
  for (;;) {
    const status = await statusOf(to);
    onLook(status);
    if (status.pending.versions === 0 && coversVector(status.vector, wanted)) return;
    await sleep(POLL_MS);
  }
}

/** Units a second that the site gains, from the first it is seen to gain to the last. */
async function rateOf(
  from: ClusterSite,
  to: ClusterSite,
  units: (status: ReplicationStatus) => number,
): Promise<number> {
  const seen: { readonly atMs: number; readonly units: number }[] = [];
  await caughtUp(from, to, (status) => seen.push({ atMs: performance.now(), units: units(status) }));
  const moved = seen.findIndex((look) => look.units > (seen[0]?.units ?? 0));
  const [first, last] = [seen[Math.max(0, moved - 1)], seen.at(-1)];
  if (!first || !last) throw new Error('nothing was seen');
  return ((last.units - first.units) * 1000) / (last.atMs - first.atMs);
}

const scenario = (sizeBytes: number, operations: number, concurrency = 16): Scenario => ({
  name: 'PUT',
  verb: 'PUT',
  sizeBytes,
  concurrency,
  operations,
  preload: 0,
  isUnique: true,
});

interface Rates {
  readonly accepted: number;
  readonly applied: number;
  readonly live: number;
  readonly largeMbPerSecond: number;
}

async function measureRates({ waw, ber }: Pair, round: number, scale: number): Promise<Rates> {
  const generator = await startGenerator({ port: waw.port(), credentials: CREDENTIALS });
  const load = async (what: Scenario, name: string): Promise<number> => {
    const result = (await generator.tell({
      kind: 'round',
      scenario: what,
      prefix: `${name}-${round}/`,
    })) as RoundResult;
    if (result.errors > 0) throw new Error(`${result.errors} writes failed`);
    return result.operations / result.seconds;
  };
  const count = Math.round(10_000 * scale);
  const away = async (what: Scenario, name: string): Promise<number> => {
    await ber.stop();
    const rate = await load(what, name);
    await ber.start();
    return rate;
  };
  try {
    if (round === 0) await load(scenario(SMALL_BYTES, 3000), 'warm-up');
    const live = await load(scenario(SMALL_BYTES, count), 'live');
    await caughtUp(waw, ber);
    const accepted = await away(scenario(SMALL_BYTES, count), 'away');
    const origin = (await statusOf(waw)).origin;
    const applied = await rateOf(waw, ber, ({ vector }) => vector[origin] ?? 0);
    await away(scenario(LARGE_BYTES, Math.max(2, Math.round(6 * scale)), 2), 'large');
    const largeMbPerSecond = (await rateOf(waw, ber, ({ fetch }) => fetch.fetchedBytes)) / 1e6;
    return { accepted, applied, live, largeMbPerSecond };
  } finally {
    generator.stop();
  }
}

interface Lag {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Writes at a steady pace; from the acknowledgement of some to the peer's answer from a state that has them. */
async function measureLag({ waw, ber }: Pair, round: number, perSecond: number): Promise<Lag> {
  const [writes, reads] = [new Pool(waw.port(), CREDENTIALS, 16), new Pool(ber.port(), CREDENTIALS, 8)];
  const lags: number[] = [];
  const running: Promise<void>[] = [];
  const write = async (i: number): Promise<void> => {
    const path = `/${BUCKET}/lag-${round}/${i}`;
    const { headers } = await writes.send({ method: 'PUT', path, body: randomBytes(SMALL_BYTES) });
    const acknowledgedMs = performance.now();
    if (i % PROBE_EVERY !== 0) return;
    const token = /\r\nx-skerry-causality: *([^\r]+)/i.exec(headers)?.[1] ?? '';
    await reads.send({ method: 'HEAD', path, headers: `x-skerry-causality: ${token}\r\n` });
    lags.push(performance.now() - acknowledgedMs);
  };
  const beganMs = performance.now();
  const seconds = 5;
  for (let i = 0; i < perSecond * seconds;) {
    const due = ((performance.now() - beganMs) / 1000) * perSecond;
    for (; i < due; i++) running.push(write(i));
    await sleep(1);
  }
  await Promise.all(running);
  const took = (performance.now() - beganMs) / 1000;
  writes.close();
  reads.close();
  const sorted = lags.slice(Math.floor(lags.length / 5)).toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  return { perSecond: running.length / took, p50Ms: at(0.5), p99Ms: at(0.99) };
}

interface Wire {
  readonly smallPerOp: number;
  readonly largePerByte: number;
  readonly knownPerByte: number;
}

async function measureWire({ cluster, waw, ber }: Pair, scale: number): Promise<Wire> {
  // one after another: beside each other, large bodies are cut into chunks where memory is short, and the same bytes are other chunks
  const pool = new Pool(waw.port(), CREDENTIALS, 1);
  const carried = (): number => [...cluster.links.values()].reduce((sum, link) => sum + link.carriedBytes(), 0);
  const costOf = async (prefix: string, bodies: readonly Buffer[]): Promise<number> => {
    const before = carried();
    await Promise.all(bodies.map((body, i) => pool.send({ method: 'PUT', path: `/${BUCKET}/${prefix}-${i}`, body })));
    await caughtUp(waw, ber);
    return carried() - before;
  };
  const smalls = Array.from({ length: Math.round(2000 * scale) }, () => randomBytes(SMALL_BYTES));
  const larges = Array.from({ length: 6 }, () => randomBytes(8 * MIB));
  const largeBytes = larges.length * 8 * MIB;
  try {
    return {
      smallPerOp: (await costOf('small', smalls)) / smalls.length,
      largePerByte: (await costOf('large', larges)) / largeBytes,
      knownPerByte: (await costOf('known', larges)) / largeBytes,
    };
  } finally {
    pool.close();
  }
}

async function digestCostUs(flags: readonly string[]): Promise<number> {
  const script = new URL('digest-cost.ts', import.meta.url).pathname;
  const costs: number[] = [];
  for (let i = 0; i < 3; i++) {
    const { stdout } = await promisify(execFile)(process.execPath, [script, ...flags]);
    costs.push(Number(stdout));
  }
  return median(costs);
}

export async function benchReplication({ rounds, scale }: ReplicationBench): Promise<string> {
  const say = (text: string): void => void process.stderr.write(`${text} ...\n`);
  const each = Array.from({ length: rounds }, (_, round) => round);
  const { rates, lags } = await withPair(true, async (pair) => {
    const measured: Rates[] = [];
    for (const round of each) {
      say(`rates, round ${round + 1} of ${rounds}`);
      measured.push(await measureRates(pair, round, scale));
    }
    const half = Math.round(median(measured.map(({ live }) => live)) / 2);
    const lagged: Lag[] = [];
    for (const round of each) {
      say(`lag at ${half} writes a second, round ${round + 1} of ${rounds}`);
      lagged.push(await measureLag(pair, round, half));
    }
    return { rates: measured, lags: lagged };
  });
  say('bytes on the wire');
  const wire = await withPair(false, (pair) => measureWire(pair, scale));
  say('the digest');
  const [withUs, withoutUs] = [await digestCostUs([]), await digestCostUs(['--without'])];
  return table(linesOf(rates, lags, wire, { withUs, withoutUs }));
}

function linesOf(
  rates: readonly Rates[],
  lags: readonly Lag[],
  wire: Wire,
  digest: { readonly withUs: number; readonly withoutUs: number },
): readonly Line[] {
  const mid = <T>(of: readonly T[], pick: (one: T) => number): number => median(of.map(pick));
  const ratio = mid(rates, ({ applied, accepted }) => applied / accepted);
  const [p50, p99] = [mid(lags, ({ p50Ms }) => p50Ms), mid(lags, ({ p99Ms }) => p99Ms)];
  const whole = (value: number): string => value.toFixed(0);
  return [
    { what: 'PUT 4 KiB a site accepts, its peer away, op/s', value: whole(mid(rates, ({ accepted }) => accepted)) },
    { what: 'PUT 4 KiB a site accepts while its peer follows, op/s', value: whole(mid(rates, ({ live }) => live)) },
    { what: 'ops of 4 KiB a replica applies, op/s', value: whole(mid(rates, ({ applied }) => applied)) },
    { what: 'applied / accepted', value: ratio.toFixed(2), target: '>= 1', isMet: ratio >= 1 },
    { what: '64 MiB objects fetched, MB/s', value: whole(mid(rates, ({ largeMbPerSecond }) => largeMbPerSecond)) },
    { what: 'writes a second at half load', value: whole(mid(lags, ({ perSecond }) => perSecond)) },
    { what: 'acknowledged to visible at the peer, p50 ms', value: p50.toFixed(1), target: '< 20', isMet: p50 < 20 },
    { what: 'acknowledged to visible at the peer, p99 ms', value: p99.toFixed(1) },
    { what: 'bytes on the wire an op of 4 KiB', value: whole(wire.smallPerOp) },
    { what: 'the same per object byte', value: (wire.smallPerOp / SMALL_BYTES).toFixed(3) },
    {
      what: 'bytes on the wire per object byte, 8 MiB objects',
      value: wire.largePerByte.toFixed(4),
      target: '<= 1.1',
      isMet: wire.largePerByte <= 1.1,
    },
    {
      what: 'the same for content that the peer has',
      value: wire.knownPerByte.toFixed(4),
      target: '< 0.01',
      isMet: wire.knownPerByte < 0.01,
    },
    { what: 'CPU of applying an op, metadata alone, us', value: digest.withUs.toFixed(1) },
    { what: 'of that the digest, us', value: (digest.withUs - digest.withoutUs).toFixed(1) },
  ];
}

function table(lines: readonly Line[]): string {
  const width = Math.max(...lines.map(({ what }) => what.length));
  return lines
    .map(({ what, value, target, isMet }) => {
      const verdict = target === undefined ? '' : `  target ${target.padEnd(8)} ${isMet ? 'met' : 'MISSED'}`;
      return `${what.padEnd(width)}  ${value.padStart(9)}${verdict}`;
    })
    .join('\n');
}
