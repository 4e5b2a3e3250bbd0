/** The sites of the demonstration: real ones, with their own data and endpoints, in one process; every link between them can be cut. */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConflictedKey, VersionVector } from '../../contracts/index.ts';
import { loadConfig } from '../../kernel/config/load.ts';
import { nodeFiles } from '../../kernel/runtime/files.ts';
import { createSite, type Site } from '../../kernel/site.ts';
import { Link } from './link.ts';

export const BUCKET = 'demo';
/** Peers that were cut off are tried again at least so often: nobody who watches likes to wait. */
const BACKOFF_MAX_MS = 500;
const LIST_MAX = 1000;

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretKey: string;
}

/** What a site shows of itself. */
export interface View {
  readonly vector: VersionVector;
  /** Of all its replicated state; equal vectors must give equal digests. */
  readonly digest: string;
  /** Keys that clients see. */
  readonly keys: readonly string[];
  readonly conflicts: readonly ConflictedKey[];
  /** Versions whose bytes are still on their way. */
  readonly pendingVersions: number;
}

export class DemoSite {
  readonly name: string;
  readonly dataDir: string;
  readonly #site: Site;
  readonly #owner: string;

  constructor(name: string, dataDir: string, site: Site, owner: string) {
    this.name = name;
    this.dataDir = dataDir;
    this.#site = site;
    this.#owner = owner;
  }

  start(): Promise<void> {
    return this.#site.start();
  }

  stop(): Promise<void> {
    return this.#site.stop({ graceMs: 0 });
  }

  get s3Url(): string {
    return this.#site.addresses().find((address) => address.startsWith('http')) ?? '';
  }

  /** Where peers call it. */
  async peerPort(): Promise<number> {
    const { addresses } = await this.#site.services().admin.replicationStatus();
    return Number(new URL(addresses[0] ?? '').port);
  }

  async createBucket(): Promise<void> {
    await this.#site.services().objects.createBucket({ bucket: BUCKET, owner: this.#owner });
  }

  async put(key: string, text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    await this.#site.services().objects.putObject({
      bucket: BUCKET,
      key,
      body: { bytes, size: bytes.length },
      owner: this.#owner,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      metadata: {},
      storageClass: 'STANDARD',
    });
  }

  /** What a client reads. */
  async get(key: string, versionId?: string): Promise<string> {
    const ref = { bucket: BUCKET, key, ...(versionId === undefined ? {} : { versionId }) };
    const object = await this.#site.services().objects.openObject(ref);
    try {
      const pieces: Buffer[] = [];
      for await (const piece of object.read(0, object.info.content.size)) pieces.push(Buffer.from(piece));
      return Buffer.concat(pieces).toString('utf8');
    } finally {
      object.close();
    }
  }

  async view(): Promise<View> {
    const { objects, admin } = this.#site.services();
    const { vector, digest } = await admin.status();
    const { pending } = await admin.replicationStatus();
    const isEmpty = (await objects.listBuckets({ limit: 1 })).entries.length === 0;
    const query = { bucket: BUCKET, limit: LIST_MAX };
    return {
      vector,
      digest,
      keys: isEmpty ? [] : (await objects.listObjects(query)).entries.map(({ key }) => key),
      conflicts: isEmpty ? [] : (await objects.listConflicts(query)).entries,
      pendingVersions: pending.versions,
    };
  }
}

export class Fleet {
  readonly sites: readonly DemoSite[];
  readonly credentials: Credentials;
  /** By `from>to`. */
  readonly #links: ReadonlyMap<string, Link>;

  private constructor(sites: readonly DemoSite[], links: ReadonlyMap<string, Link>, credentials: Credentials) {
    this.sites = sites;
    this.credentials = credentials;
    this.#links = links;
  }

  /** Every site calls every other. A rejection leaves nothing open. */
  static async start(names: readonly string[], directory: string): Promise<Fleet> {
    const credentials = {
      accessKeyId: `DEMO${randomBytes(6).toString('hex').toUpperCase()}`,
      secretKey: randomBytes(30).toString('base64url'),
    };
    const links = new Map(
      names.flatMap((from) => names.filter((to) => to !== from).map((to) => [`${from}>${to}`, new Link()] as const)),
    );
    const sites: DemoSite[] = [];
    const fleet = new Fleet(sites, links, credentials);
    const clusterKey = randomBytes(32).toString('base64');
    try {
      for (const link of links.values()) await link.open();
      for (const name of names) sites.push(await makeSite(name, { names, directory, links, credentials, clusterKey }));
      await Promise.all(sites.map((site) => site.start()));
      for (const site of sites) await fleet.#leadTo(site);
      return fleet;
    } catch (error) {
      await fleet.close();
      throw error;
    }
  }

  site(name: string): DemoSite {
    const found = this.sites.find((one) => one.name === name);
    if (found === undefined) throw new TypeError(`no site ${name}`);
    return found;
  }

  /** From now on this site hears nobody, and nobody hears it. */
  isolate(name: string): void {
    for (const [ends, link] of this.#links) if (ends.split('>').includes(name)) link.cut();
  }

  heal(): void {
    for (const link of this.#links.values()) link.heal();
  }

  async close(): Promise<void> {
    const stopped = await Promise.allSettled(this.sites.map((site) => site.stop()));
    await Promise.all([...this.#links.values()].map((link) => link.close()));
    const failure = stopped.find((outcome) => outcome.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  async #leadTo(site: DemoSite): Promise<void> {
    const port = await site.peerPort();
    for (const [ends, link] of this.#links) if (ends.endsWith(`>${site.name}`)) link.leadTo(port);
  }
}

interface SiteParts {
  readonly names: readonly string[];
  readonly directory: string;
  readonly links: ReadonlyMap<string, Link>;
  readonly credentials: Credentials;
  readonly clusterKey: string;
}

async function makeSite(name: string, parts: SiteParts): Promise<DemoSite> {
  const { names, directory, links, credentials, clusterKey } = parts;
  const dataDir = join(directory, name);
  await mkdir(dataDir, { recursive: true });
  const peers = names.flatMap((peer) => {
    const link = links.get(`${name}>${peer}`);
    return link === undefined ? [] : [{ site: peer, url: link.url }];
  });
  const owner = 'demo';
  const identity = {
    accessKey: credentials.accessKeyId,
    secretKey: credentials.secretKey,
    policy: 'admin',
    userId: owner,
    displayName: owner,
  };
  const loaded = await loadConfig({
    values: {
      site: { id: name },
      dataDir,
      plugins: {
        transport: { use: 'http', listen: '127.0.0.1:0' },
        auth: { use: 'sigv4', identities: [identity] },
        gateways: [{ use: 's3', listen: '127.0.0.1:0' }],
      },
      replication: { clusterKey, peers, backoffMaxMs: BACKOFF_MAX_MS },
      log: { level: 'silent' },
    },
    env: {},
    cwd: directory,
    files: nodeFiles,
  });
  return new DemoSite(name, dataDir, createSite(loaded), owner);
}
