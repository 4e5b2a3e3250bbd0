/** Real `skerry serve` processes, real HTTP between them, every link through a proxy that the test holds, if it wants to. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { adminClient } from '../../core/cli/admin-client.ts';
import type { AdminService } from '../../core/contracts/index.ts';
import { freePorts } from '../support/free-ports.ts';
import { startProxy, type LinkProxy } from './proxy.ts';

export const CREDENTIALS = { accessKeyId: 'CLUSTERKEY', secretKey: 'clustersecretclustersecret' } as const;
export const CLUSTER_KEY = 'a-cluster-key-of-the-tests-only-0123456789';
const CLI = new URL('../../core/cli.ts', import.meta.url).pathname;
const SITE_NAMES = ['waw', 'ber', 'lis', 'osl', 'ath'] as const;

export type Topology = 'mesh' | 'ring' | 'star' | 'chain';

export interface ClusterSite {
  readonly name: string;
  readonly dataDir: string;
  /** Port of S3; changes with every start. */
  port(): number;
  /** Where peers call it. */
  readonly replicationPort: number;
  /** Of its process; `undefined` while there is none. */
  pid(): number | undefined;
  isRunning(): boolean;
  /** Over its admin socket. */
  admin(): Promise<AdminService>;
  start(): Promise<void>;
  kill(): Promise<void>;
  /** Graceful; rejects unless the exit code is 0. */
  stop(): Promise<void>;
}

export interface Cluster {
  readonly sites: readonly ClusterSite[];
  /** From a site to a peer that it dials: `links.get('waw>ber')`. None in a cluster without proxies. */
  readonly links: ReadonlyMap<string, LinkProxy>;
  close(): Promise<void>;
}

export interface ClusterOptions {
  readonly topology: Topology;
  readonly count: number;
  readonly bucket: string;
  /** Of each pair the second dials the first and not the other way round: the rim of a star, behind walls. */
  readonly isDialOut?: boolean;
  /** Sites call each other without a proxy between them. */
  readonly isDirect?: boolean;
  /** Default `error`. */
  readonly logLevel?: string;
}

/** Who are neighbours, by index. */
function pairs(topology: Topology, count: number): readonly (readonly [number, number])[] {
  const all = Array.from({ length: count }, (_, i) => i);
  switch (topology) {
    case 'mesh':
      return all.flatMap((a) => all.filter((b) => b > a).map((b) => [a, b] as const));
    case 'ring':
      return count < 3 ? [[0, 1]] : all.map((a) => [a, (a + 1) % count] as const);
    case 'star':
      return all.slice(1).map((b) => [0, b] as const);
    case 'chain':
      return all.slice(1).map((b) => [b - 1, b] as const);
  }
}

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { count, bucket, logLevel = 'error' } = options;
  const dir = await mkdtemp(join(tmpdir(), 'skerry-cluster-'));
  const names = SITE_NAMES.slice(0, count);
  const ports = await freePorts(count);
  const links = new Map<string, LinkProxy>();
  const keyFile = join(dir, 'cluster.key');
  await writeFile(keyFile, CLUSTER_KEY);
  const dials = dialsOf(options);
  const sites: ClusterSite[] = [];
  for (const [i, name] of names.entries()) {
    const config = join(dir, `${name}.json`);
    const dataDir = join(dir, name);
    const peers = [];
    for (const [, to] of dials.filter(([from]) => from === i)) {
      const site = names[to] ?? '';
      const link = options.isDirect ? undefined : await startProxy(() => ports[to] ?? 0);
      if (link) links.set(`${name}>${site}`, link);
      peers.push({ site, url: link?.url ?? `http://127.0.0.1:${ports[to]}` });
    }
    const isDialed = dials.some(([, to]) => to === i);
    const listen = isDialed ? { listen: `127.0.0.1:${ports[i]}` } : {};
    await writeFile(
      config,
      JSON.stringify(siteConfig({ id: name, dataDir, listen, keyFile, peers, bucket, logLevel })),
    );
    sites.push(createSite({ name, dataDir, config, replicationPort: ports[i] ?? 0 }));
  }
  const cluster: Cluster = {
    sites,
    links,
    async close() {
      await Promise.all(sites.filter((site) => site.isRunning()).map((site) => site.kill()));
      await Promise.all([...links.values()].map((link) => link.close()));
      await rm(dir, { recursive: true, force: true });
    },
  };
  const started = await Promise.allSettled(sites.map((site) => site.start()));
  const failure = started.find((outcome) => outcome.status === 'rejected');
  if (failure) {
    await cluster.close();
    throw failure.reason;
  }
  return cluster;
}

/** From whom to whom, by index. */
function dialsOf({ topology, count, isDialOut }: ClusterOptions): readonly (readonly [number, number])[] {
  const all = pairs(topology, count);
  const inwards = all.map(([a, b]) => [b, a] as const);
  return isDialOut ? inwards : [...all, ...inwards];
}

interface SiteSettings {
  readonly id: string;
  readonly dataDir: string;
  readonly listen: { readonly listen?: string };
  readonly keyFile: string;
  readonly peers: readonly object[];
  readonly bucket: string;
  readonly logLevel: string;
}

function siteConfig({ id, dataDir, listen, keyFile, peers, bucket, logLevel }: SiteSettings): object {
  return {
    site: { id },
    dataDir,
    plugins: {
      transport: { use: 'http', ...listen },
      auth: {
        use: 'sigv4',
        identities: [
          { accessKey: CREDENTIALS.accessKeyId, secretKey: CREDENTIALS.secretKey, policy: 'admin', userId: 'tester' },
        ],
      },
      gateways: [{ use: 's3', listen: '127.0.0.1:0' }],
    },
    replication: { clusterKey: { file: keyFile }, peers },
    seed: { buckets: [bucket] },
    log: { level: logLevel },
  };
}

interface SiteProcess {
  readonly name: string;
  readonly dataDir: string;
  readonly config: string;
  readonly replicationPort: number;
}

function createSite({ name, dataDir, config, replicationPort }: SiteProcess): ClusterSite {
  let child: ChildProcess | undefined;
  let exited: Promise<number | null> = Promise.resolve(0);
  let port = 0;
  return {
    name,
    dataDir,
    port: () => port,
    replicationPort,
    pid: () => child?.pid,
    isRunning: () => child !== undefined,
    admin: () => adminOf(dataDir),
    async start() {
      const started = spawn(process.execPath, [CLI, 'serve', '-c', config, '--json'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      exited = new Promise((resolve) => started.once('exit', (code) => resolve(code)));
      child = started;
      port = await readyPort(started);
    },
    async kill() {
      child?.kill('SIGKILL');
      await exited;
      child = undefined;
    },
    async stop() {
      child?.kill('SIGTERM');
      const code = await exited;
      child = undefined;
      if (code !== 0) throw new Error(`${name} ended with ${code}`);
    },
  };
}

async function adminOf(dataDir: string): Promise<AdminService> {
  const token = (await readFile(join(dataDir, 'admin.token'), 'utf8')).trim();
  return adminClient({ socketPath: join(dataDir, 'admin.sock'), token });
}

async function readyPort(child: ChildProcess): Promise<number> {
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    if (!line.includes('"ready"')) continue;
    const { addresses } = JSON.parse(line) as { readonly addresses: readonly string[] };
    const s3 = addresses.find((address) => address.startsWith('http://'));
    if (s3 !== undefined) return Number(new URL(s3).port);
  }
  throw new Error('the site ended before it was ready');
}
