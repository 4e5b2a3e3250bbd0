/** Manifests that are too long for a version's record: their nodes become chunks of kind `node`. */
import type { Hashing, Manifest, ManifestEntry } from '../contracts/index.ts';
import { ChunkPlacer, type PlacerDeps } from './chunk-placer.ts';
import { TOP_MAX, wrapManifest } from './manifest.ts';
import type { Placement } from './records.ts';

export interface StoredManifest {
  /** At most 32 entries: what goes into the record. */
  readonly manifest: Manifest;
  /** The nodes, with their entries as `children`. */
  readonly placements: readonly Placement[];
  /** The write failed: frees and unpins. Idempotent. */
  release(): Promise<void>;
  /** The write is committed: unpins. Idempotent. */
  settled(): void;
}

export interface StoreManifestDeps extends PlacerDeps {
  readonly hashing: Hashing;
}

/** A list of up to `topMax` entries is its own manifest and stores nothing. */
export async function storeManifest(
  deps: StoreManifestDeps,
  entries: readonly ManifestEntry[],
  topMax = TOP_MAX,
): Promise<StoredManifest> {
  const { manifest, nodes } = wrapManifest(entries, deps.hashing, topMax);
  const placer = new ChunkPlacer(deps);
  const placements: Placement[] = [];
  try {
    for (const { hash, bytes, children } of nodes) {
      const placement = await placer.place({ hash, kind: 'node', data: [bytes], length: bytes.length });
      placements.push({ ...placement, children });
    }
  } catch (error) {
    await placer.release();
    throw error;
  }
  return {
    manifest,
    placements,
    release: () => placer.release(),
    settled: () => placer.settled(),
  };
}
