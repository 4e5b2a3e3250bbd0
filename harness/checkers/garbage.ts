/** At rest nothing is queued for collection, everything referenced is there and whole, and nothing else takes space. */
import { createHash } from 'node:crypto';
import type { ChunkStore, Locator, MetaReader } from '../../core/contracts/index.ts';
import { garbagePrefix, tupleRange } from '../../core/engine/keys.ts';
import { decodeRecord, type ChunkRow } from '../../core/engine/records.ts';
import type { Checker, SiteView, WorldView } from './checker.ts';
import { expectedRefs, keptVersions } from './expected-refs.ts';
import { scanAll } from './dump.ts';

export function garbageChecker(): Checker {
  const failure =
    (site: SiteView, view: WorldView): Fail =>
    (message) =>
      view.fail('garbage', `${site.name}: ${message}`);
  return {
    name: 'garbage',
    async atRest(view) {
      for (const site of view.sites) {
        const wanted = await referenced(site.meta.reader);
        await site.chunks.inspect((store) => checkSpace(store, wanted, failure(site, view)));
      }
    },
    async atEnd(view) {
      for (const site of view.sites) {
        const fail = failure(site, view);
        const queued = await site.meta.reader.scan({ space: 'queues', ...tupleRange(garbagePrefix()), limit: 10 });
        if (queued.length > 0) fail('the garbage queue is not drained');
        const wanted = await referenced(site.meta.reader);
        await site.chunks.inspect(async (store) => {
          await checkBytes(store, wanted, fail);
          await checkHolders(site.meta.reader, store, fail);
        });
        await checkReferences(site.meta.reader, view.movesBytes || !view.replicates, fail);
      }
    },
  };
}

type Fail = (message: string) => void;

/** Locators that rows name, and the hash of what must lie there. */
async function referenced(reader: MetaReader): Promise<ReadonlyMap<Locator, string>> {
  const wanted = new Map<Locator, string>();
  for (const { key, value } of await scanAll(reader, 'chunks')) {
    wanted.set(decodeRecord<ChunkRow>(value).locator, Buffer.from(key).toString('utf8'));
  }
  for (const { local, content } of await keptVersions(reader)) {
    const hash = content?.manifest[0]?.hash;
    if (local?.locator !== undefined && hash !== undefined) wanted.set(local.locator, hash);
  }
  return wanted;
}

/** Every held chunk has a row, every row a holder. */
async function checkReferences(reader: MetaReader, hasAllBytes: boolean, fail: Fail): Promise<void> {
  const held = new Map<string, readonly string[]>();
  for (const { key } of await scanAll(reader, 'refs')) {
    const [hash = '', owner = ''] = Buffer.from(key).toString('utf8').split('\0');
    held.set(hash, [...(held.get(hash) ?? []), owner]);
  }
  const stored = new Set<string>();
  for (const { key } of await scanAll(reader, 'chunks')) stored.add(Buffer.from(key).toString('utf8'));
  for (const hash of stored) if (!held.has(hash)) fail(`${hash} is kept and nobody holds it`);
  const unfetched = await unfetchedHashes(reader);
  const isUnfetched = (hash: string, owners: readonly string[]): boolean =>
    unfetched.has(hash) || owners.every((owner) => owner.startsWith('n') && unfetched.has(owner.slice(1)));
  for (const [hash, owners] of hasAllBytes ? held : [])
    if (!stored.has(hash) && !isUnfetched(hash, owners)) fail(`${hash} is held and not kept`);
}

/**
 * Of versions whose bytes are not here: they hold them all the same. Those that were removed before their bytes came are not fetched,
 * and what the disks of a site took along cannot be; whether others should be here is for another checker.
 */
async function unfetchedHashes(reader: MetaReader): Promise<ReadonlySet<string>> {
  const unfetched = (await keptVersions(reader)).filter(({ local }) => local?.pending === true);
  const entries = unfetched.flatMap(({ content }) => [...(content?.manifest ?? []), ...(content?.partsManifest ?? [])]);
  return new Set(entries.map(({ hash }) => hash));
}

/** Rows of `refs` are those that versions, nodes and parts need, and no others. */
async function checkHolders(reader: MetaReader, store: ChunkStore, fail: Fail): Promise<void> {
  const wanted = await expectedRefs(reader, store).catch((error: unknown) => {
    fail(`what manifest nodes hold cannot be read: ${String(error)}`);
  });
  if (wanted === undefined) return;
  const stored = new Set((await scanAll(reader, 'refs')).map(({ key }) => Buffer.from(key).toString('latin1')));
  for (const row of wanted) if (!stored.has(row)) fail(`no row says that ${row.replace('\0', ' is held by ')}`);
  for (const row of stored)
    if (!wanted.has(row)) fail(`${row.replace('\0', ' is held by ')}, which is gone or does not need it`);
}

async function checkBytes(store: ChunkStore, wanted: ReadonlyMap<Locator, string>, fail: Fail): Promise<void> {
  for (const [locator, hash] of wanted) {
    try {
      const bytes = await store.read(locator);
      const is = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      if (is !== hash) fail(`${locator} holds ${is}, not ${hash}`);
    } catch (error) {
      fail(`${hash} at ${locator} cannot be read: ${String(error)}`);
    }
  }
}

async function checkSpace(store: ChunkStore, wanted: ReadonlyMap<Locator, string>, fail: Fail): Promise<void> {
  for await (const batch of store.scan()) {
    for (const { locator, kind, hash } of batch) {
      if (kind !== 'op' && !wanted.has(locator)) fail(`${hash} at ${locator} takes space and nobody refers to it`);
    }
  }
}
