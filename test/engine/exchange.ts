/** What clients do at whole sites, and whole sites that exchange ops and bytes by hand. */
import assert from 'node:assert/strict';
import type { ManifestEntry, PutObjectInput, WriteResult } from '../../core/contracts/index.ts';
import type { FetchedChunk, PendingVersion, Replica } from '../../core/engine/replica.ts';
import { BUCKET, bytesOf, type WholeSite } from './whole-site.ts';

/** All ops that `to` lacks. */
export async function pullOps(from: WholeSite, to: WholeSite): Promise<void> {
  const [source, target] = [from.engine.replica, to.engine.replica];
  for (;;) {
    const page = await source.opsAfter((await target.cut()).vector, { maxOps: 100, maxBytes: 1_000_000 });
    assert.equal(page.kind, 'ops');
    if (page.kind !== 'ops' || page.ops.length === 0) return;
    const { outcomes } = await target.apply(page.ops);
    assert.ok(outcomes.every((outcome) => outcome === 'applied'));
  }
}

/** All bytes that `to` waits for and `from` has. */
export async function fetchBytes(from: WholeSite, to: WholeSite): Promise<void> {
  for (const version of await to.engine.replica.pending(1000))
    await fetchVersion(from.engine.replica, to.engine.replica, version);
}

async function fetchVersion(from: Replica, to: Replica, version: PendingVersion): Promise<void> {
  let level: readonly ManifestEntry[] = version.entries;
  while (level.length > 0) {
    const chunks: FetchedChunk[] = [];
    for (const hash of new Set(await to.missing(level.map((entry) => entry.hash)))) {
      const chunk = await from.readChunk(hash, version);
      if (!chunk) return;
      chunks.push({ hash, ...chunk });
    }
    if (chunks.length > 0) await to.storeChunks(chunks);
    const nodes = level.filter(({ span }) => span !== undefined);
    level = (await Promise.all(nodes.map((entry) => to.children(entry)))).flat();
  }
  await to.complete(version);
}

/** Afterwards both have seen everything that either had. */
export async function exchange(a: WholeSite, b: WholeSite): Promise<void> {
  await pullOps(a, b);
  await pullOps(b, a);
  await fetchBytes(a, b);
  await fetchBytes(b, a);
}

export function put(site: WholeSite, key: string, body: string | Buffer): Promise<WriteResult> {
  const bytes = Buffer.from(body);
  return site.objects.putObject({
    bucket: BUCKET,
    key,
    body: { bytes, size: bytes.length },
    owner: `owner-of-${key}`,
    headers: {},
    metadata: {},
    storageClass: 'STANDARD',
  });
}

/** What a PUT of these bytes asks for. */
export const putOf = (key: string, bytes: Uint8Array): PutObjectInput => ({
  bucket: BUCKET,
  key,
  body: { bytes },
  owner: 'o',
  headers: {},
  metadata: {},
  storageClass: 'S',
});

export async function remove(site: WholeSite, key: string, versionId?: string): Promise<void> {
  await site.objects.deleteObject({ bucket: BUCKET, key, owner: 'o', ...(versionId ? { versionId } : {}) });
}

/** All bytes of one version. */
export async function readVersion(site: WholeSite, key: string, versionId?: string): Promise<Buffer> {
  return bytesOf(await site.objects.openObject({ bucket: BUCKET, key, ...(versionId ? { versionId } : {}) }));
}
