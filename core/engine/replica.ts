/** The engine as replication sees it: see replica-types.ts for what each call promises. */
import { applyBatches } from './replica-apply.ts';
import { moveChunks } from './replica-chunks.ts';
import { serveOps } from './replica-ops.ts';
import type { Replica, ReplicaDeps } from './replica-types.ts';

export type * from './replica-types.ts';

export function createReplica(deps: ReplicaDeps): Replica {
  const calls = { ...serveOps(deps), ...applyBatches(deps), ...moveChunks(deps) };
  return Object.defineProperty({ origin: deps.origin, ...calls }, 'origin', {
    enumerable: true,
    get: () => deps.origin,
  });
}
