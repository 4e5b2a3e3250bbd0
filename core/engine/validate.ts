/**
 * Comparing two sites by their digests (rule 16): which leaves differ, then which entities in them, and who lacks what. Pure; of
 * sites with equal vectors every difference is damage or a bug, of others it may be what is under way.
 */
import { LEAVES } from './digest.ts';
import type { DigestLeaves, EntityDigest, EntityPath } from './digest-tree.ts';

/** `ours`: only our site has it; `theirs`: only the other; `both`: not the same at both. */
export type DifferenceSide = 'ours' | 'theirs' | 'both';

export interface Difference {
  readonly path: EntityPath;
  readonly has: DifferenceSide;
  /** As each site has it; absent where it lacks it. */
  readonly ours?: EntityDigest;
  readonly theirs?: EntityDigest;
}

/** Numbers of the leaves that are not equal, ascending. */
export function differingLeaves(ours: DigestLeaves, theirs: DigestLeaves): readonly number[] {
  const differing: number[] = [];
  for (let leaf = 0; leaf < LEAVES; leaf++) if (ours.get(leaf) !== theirs.get(leaf)) differing.push(leaf);
  return differing;
}

/** Entities of the same leaves, as two sites have them: what is not the same, in order of path. */
export function differingEntities(
  ours: readonly EntityDigest[],
  theirs: readonly EntityDigest[],
): readonly Difference[] {
  const [mine, other] = [byName(ours), byName(theirs)];
  const names = [...new Set([...mine.keys(), ...other.keys()])].toSorted();
  return names.flatMap((name) => {
    const [a, b] = [mine.get(name), other.get(name)];
    const difference = differenceOf(a, b);
    return difference ? [difference] : [];
  });
}

function differenceOf(ours: EntityDigest | undefined, theirs: EntityDigest | undefined): Difference | undefined {
  if (ours && theirs) return ours.digest === theirs.digest ? undefined : { path: ours.path, has: 'both', ours, theirs };
  if (ours) return { path: ours.path, has: 'ours', ours };
  return theirs && { path: theirs.path, has: 'theirs', theirs };
}

const byName = (entities: readonly EntityDigest[]): ReadonlyMap<string, EntityDigest> =>
  new Map(entities.map((entity) => [nameOf(entity.path), entity]));

function nameOf(path: EntityPath): string {
  switch (path.kind) {
    case 'bucket':
      return JSON.stringify([path.kind, path.bucket]);
    case 'version':
      return JSON.stringify([path.kind, path.bucket, path.key, path.stamp]);
    case 'register':
      return JSON.stringify([path.kind, path.of, path.id]);
  }
}
