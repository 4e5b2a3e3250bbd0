/** The object service and garbage collection, put together from the parts of an engine. */
import type { ObjectService } from '../contracts/index.ts';
import type { EngineDeps } from './engine-types.ts';
import type { Pins } from './pins.ts';
import { createBuckets } from './buckets.ts';
import type { Causality } from './causality.ts';
import { createConflictRetention } from './conflict-retention.ts';
import { createConflicts, type Verdict } from './conflicts.ts';
import type { Committer } from './committer.ts';
import type { Damage } from './damage.ts';
import type { GarbageCollector } from './garbage.ts';
import type { Healing } from './healing.ts';
import { createIngest } from './ingest.ts';
import type { Keeping } from './keeping.ts';
import { createListing } from './listing.ts';
import { createMultipart } from './multipart.ts';
import { createObjects, type ObjectsDeps } from './objects.ts';
import { bytesOf, openObject, readSmall } from './open-object.ts';
import { createObjectReader, stablePieces } from './read-object.ts';
import type { Reclaimer } from './reclaim.ts';
import { resolveConflict } from './resolve-conflict.ts';
import { createSpace, type Space } from './space.ts';
import type { LedgeredChunkStore } from './sync-ledger.ts';

const DEFAULT_CONFLICT_RETENTION_MS = 30 * 24 * 60 * 60 * 1000;

/** The rule that every site follows, with losers under conflicts only. */
const HIDDEN: Verdict = {
  resolve: (candidates) => ({
    winner: candidates.reduce((largest, { stamp }) => (stamp > largest ? stamp : largest), ''),
    losers: 'conflict',
  }),
};

/** An engine's own, besides what it is given. */
export interface EngineParts {
  readonly committer: Committer;
  readonly reclaimer: Reclaimer;
  readonly garbage: GarbageCollector;
  readonly keeping: Keeping;
  readonly causality: Causality;
  readonly pins: Pins;
  readonly damage: Damage;
}

export type LedgeredDeps = Omit<EngineDeps, 'chunkStore'> & { readonly chunkStore: LedgeredChunkStore };

/** Garbage collection over the parts of a site. */
export function createSpaceOf(
  deps: LedgeredDeps,
  parts: Pick<EngineParts, 'committer' | 'reclaimer' | 'garbage' | 'keeping'> & { readonly objects: ObjectService },
): Space {
  const { committer, keeping, objects } = parts;
  const retentionMs = deps.options?.conflictRetentionMs ?? DEFAULT_CONFLICT_RETENTION_MS;
  return createSpace({
    ...deps,
    ...parts,
    purger: keeping.purger,
    conflictRetention: createConflictRetention({
      ...deps,
      reader: deps.metaStore,
      committer,
      conflicts: objects,
      retentionMs,
    }),
    ...(deps.options?.gc ? { gc: deps.options.gc } : {}),
  });
}

/** What gateways call. `resume`: what a stop interrupted goes on. */
export function createObjectService(
  deps: EngineDeps,
  parts: Pick<EngineParts, 'committer' | 'reclaimer' | 'causality' | 'pins' | 'damage'> & { readonly healing: Healing },
): { readonly objects: ObjectService; readonly resume: () => Promise<void> } {
  const { metaStore, chunkStore, hashing, logger, hooks, options } = deps;
  const { committer, reclaimer, pins, causality, damage, healing } = parts;
  const reader = metaStore;
  const objectReader = createObjectReader({
    chunkStore,
    reader,
    healing,
    ...(options?.readMemoryBytes ? { memoryBytes: options.readMemoryBytes } : {}),
  });
  const ingest = createIngest({
    chunkStore,
    reader,
    pins,
    damage,
    hashing,
    logger,
    ...(options?.ingest ? { options: options.ingest } : {}),
  });
  const shared = {
    chunkStore,
    reader,
    pins,
    damage,
    hashing,
    committer,
    ingest,
    beginRead: () => reclaimer.beginRead(),
    vetoes: hooks.beforeWrite,
  };
  const multipart = createMultipart({ ...shared, ...deps, objectReader });
  const versions: ObjectsDeps = {
    ...shared,
    readSmall: (found) => readSmall(objectReader, found),
    readStream: (found) =>
      stablePieces(objectReader.readRange({ ...bytesOf(found), start: 0, length: found.record.content.size })),
  };
  const objects: ObjectService = {
    ...createBuckets({ reader, committer }),
    ...createObjects(versions),
    ...createConflicts({ reader, logger, conflictResolver: deps.conflictResolver ?? HIDDEN }),
    resolveConflict: (input) => resolveConflict(versions, input),
    causality: () => causality.causality(),
    waitFor: (token, scope, waiting) => causality.waitFor(token, scope, waiting),
    openObject: (ref) => openObject({ reader, objectReader, reclaimer }, ref),
    ...createListing({ reader }),
    ...multipart.operations,
  };
  return { objects, resume: () => multipart.resume() };
}
