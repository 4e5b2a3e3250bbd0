/**
 * Bit rot: at one site that has come to rest, bytes change at rest under records that another site has good. Readers there see the
 * right bytes or a refusal, also with nobody to ask; what readers do not heal, the audit of all bytes finds and replaces.
 */
import { isSkerryError, type ChunkHash, type Locator, type MetaReader } from '../../core/contracts/index.ts';
import { refOwner } from '../../core/engine/keys.ts';
import { decodeRecord, type ChunkRow } from '../../core/engine/records.ts';
import { scanAll } from '../checkers/dump.ts';
import { keptVersions } from '../checkers/expected-refs.ts';
import { read } from '../workload/client.ts';
import { Draw } from '../sim/random.ts';
import type { SimSite } from '../sim/site.ts';
import type { Faulty } from './apply.ts';

/** Part of a plan. */
export interface Rot {
  readonly site: string;
  /** Of the records that another site has too. */
  readonly share: number;
  /** The first readers come while nobody else can be reached. */
  readonly isAlone: boolean;
}

export interface RotOptions {
  readonly seed: number;
  readonly rot: Rot;
  /** What clients wrote, or tried to. */
  readonly keys: readonly { readonly bucket: string; readonly key: string }[];
}

export interface RotWorld extends Faulty {
  fail(checker: string, message: string): void;
}

/** What a reader may be told instead of bytes. */
const REFUSALS: ReadonlySet<string> = new Set(['Unavailable', 'Corrupt']);
const ABSENT: ReadonlySet<string> = new Set(['NoSuchKey', 'NoSuchBucket']);
const ROUNDS_MAX = 20;
const ROUND_MS = 3000;

/** Resolves when the site has good bytes again, in virtual time. */
export async function rotAndRepair(world: RotWorld, options: RotOptions): Promise<void> {
  const { seed, rot } = options;
  const site = world.sites.find(({ name }) => name === rot.site);
  if (site === undefined) throw new RangeError(`rot names an unknown site ${rot.site}`);
  const others = world.sites.filter((one) => one !== site);
  const found = await sharedRecords(site, others);
  const draw = new Draw(seed, 'rotten records');
  const rotten = found.filter((locator) => draw.chance(rot.share) && site.chunks.rot(locator, draw));
  if (rotten.length === 0) return;
  site.faults.rotten += rotten.length;
  world.mark('fault rot');
  if (rot.isAlone) {
    const turnLinks = (how: 'cut' | 'heal'): void => {
      for (const { name } of others) for (const [a, b] of pairs(site.name, name)) world.network[how](a, b);
    };
    turnLinks('cut');
    if ((await readAll(world, site, options)) > 0) world.mark('rotten bytes refused');
    turnLinks('heal');
  }
  await readAll(world, site, options);
  const { damaged = 0, repaired = 0 } = (await site.audit(async (auditor) => auditor.damage())) ?? {};
  if (damaged > 0) world.mark('rot met by a reader');
  if (repaired > 0) world.mark('rot healed by a reader');
  await repairAll(world, site, rotten.length);
  if ((await readAll(world, site, options)) > 0) world.fail('rot', `${site.name} refuses reads after it was repaired`);
}

const pairs = (a: string, b: string) =>
  [
    [a, b],
    [b, a],
  ] as const;

const sleep = ({ scheduler }: Faulty, ms: number): Promise<void> =>
  new Promise((resolve) => void scheduler.after(ms, 'rot waits', resolve));

/** How many reads were refused. */
async function readAll(world: RotWorld, site: SimSite, { keys }: RotOptions): Promise<number> {
  let refused = 0;
  for (const { bucket, key } of keys) {
    try {
      const answer = await site.call((objects) => read(objects, { bucket, key }, { sleep: (ms) => sleep(world, ms) }));
      if (answer.kind !== 'done') return world.fail('rot', `${site.name} went ${answer.kind} under a read`) ?? refused;
      const { sha256, wanted } = answer.value;
      if (sha256 !== wanted) world.fail('rot', `${site.name} read ${bucket}/${key} as ${sha256}, not ${wanted}`);
    } catch (error) {
      const code = isSkerryError(error) ? error.code : String(error);
      if (REFUSALS.has(code)) refused++;
      else if (!ABSENT.has(code)) world.fail('rot', `${site.name} read ${bucket}/${key} and got ${code}`);
    }
  }
  return refused;
}

/** `rotten`: records that were damaged. */
async function repairAll(world: RotWorld, site: SimSite, rotten: number): Promise<void> {
  let isNoticed = false;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const report = await site.audit(async (auditor) => ({
      ...(await auditor.verifyBytes({ repair: true })),
      damage: auditor.damage(),
    }));
    if (report === undefined) return world.fail('rot', `${site.name} went away under its audit`);
    isNoticed ||= report.damage.damaged > 0 || report.badCount > 0;
    if (report.repairedCount > 0) world.mark('rot repaired by an audit');
    if (report.badCount === 0) {
      if (!isNoticed) world.fail('rot', `${site.name} has not noticed ${rotten} damaged records`);
      return;
    }
    await sleep(world, ROUND_MS);
  }
  world.fail('rot', `${site.name} has damaged bytes still, and peers have good ones`);
}

/** Records that versions here hold, and that another site has as well. */
async function sharedRecords(site: SimSite, others: readonly SimSite[]): Promise<readonly Locator[]> {
  const { reader } = site.meta;
  const there = await Promise.all(others.map(({ meta }) => contentOf(meta.reader)));
  const hashes = new Set(there.flatMap(({ chunks }) => [...chunks.keys()]));
  const stamps = new Set(there.flatMap(({ versions }) => [...versions]));
  const { chunks, held } = await contentOf(reader);
  const shared = [...chunks].filter(([hash]) => held.has(hash) && hashes.has(hash)).map(([, locator]) => locator);
  const own = (await keptVersions(reader)).flatMap(({ stamp, local }) =>
    local?.locator !== undefined && stamps.has(stamp) ? [local.locator] : [],
  );
  return [...shared, ...own];
}

interface Content {
  readonly chunks: ReadonlyMap<ChunkHash, Locator>;
  /** Chunks that versions hold, of themselves or over nodes. */
  readonly held: ReadonlySet<ChunkHash>;
  /** Stamps of versions whose bytes are here. */
  readonly versions: ReadonlySet<string>;
}

async function contentOf(reader: MetaReader): Promise<Content> {
  const chunks = new Map(
    (await scanAll(reader, 'chunks')).map(({ key, value }) => [
      Buffer.from(key).toString('utf8'),
      decodeRecord<ChunkRow>(value).locator,
    ]),
  );
  const here = (await keptVersions(reader)).filter(({ local }) => local?.pending !== true);
  return {
    chunks,
    held: heldByVersions((await scanAll(reader, 'refs')).map(({ key }) => key)),
    versions: new Set(here.map(({ stamp }) => stamp)),
  };
}

/** Parts of open uploads hold chunks too, of themselves or over nodes: no audit looks at those, no peer has the version. */
function heldByVersions(rows: readonly Uint8Array[]): ReadonlySet<ChunkHash> {
  const chunksOf = Map.groupBy(
    rows.map((row) => Buffer.from(row).toString('utf8').split('\0') as [hash: ChunkHash, owner: string]),
    ([, owner]) => owner,
  );
  const held = new Set<ChunkHash>();
  const version = refOwner.version('');
  const owners = [...chunksOf.keys()].filter((owner) => owner.startsWith(version));
  // grows while it is walked: chunks of nodes come after the nodes
  for (const owner of owners) {
    for (const [hash] of chunksOf.get(owner) ?? []) {
      if (held.has(hash)) continue;
      held.add(hash);
      owners.push(refOwner.node(hash));
    }
  }
  return held;
}
