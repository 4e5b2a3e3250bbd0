/** Checking a site and putting it right: its state against its own digest and a peer's (rule 16), its bytes against their hashes. */
import type { MetaStore, VersionVector } from '../contracts/index.ts';
import {
  countState,
  readDigest,
  readLeafEntities,
  readWhole,
  type AuditCount,
  type DigestReading,
  type LeafReading,
  type OnCounted,
} from './audit.ts';
import { createAuditRepairer, type AuditRepairer } from './audit-repair.ts';
import type { Committer } from './committer.ts';
import type { CutEntity } from './cut-entities.ts';
import type { EntityPath } from './digest-tree.ts';
import { verifyBytes, type BytesDeps, type BytesReport, type BytesRequest } from './verify-bytes.ts';

/** What a peer may ask: each answer is of one moment, with the vector of that moment. */
export interface DigestServer {
  digest(): Promise<DigestReading>;
  /** Scans the whole state. */
  leafEntities(leaves: ReadonlySet<number>, signal?: AbortSignal): AsyncIterable<LeafReading>;
  whole(
    paths: readonly EntityPath[],
  ): Promise<{ readonly vector: VersionVector; readonly entities: readonly CutEntity[] }>;
}

export interface Auditor extends DigestServer, AuditRepairer {
  /** Scans the whole state. */
  count(onCounted?: OnCounted, signal?: AbortSignal): Promise<AuditCount>;
  /** Records of stored bytes found damaged or gone since the start, and those that good ones took the place of. */
  damage(): { readonly damaged: number; readonly repaired: number };
  /** Reads every chunk. */
  verifyBytes(request: BytesRequest): Promise<BytesReport>;
}

export interface AuditorDeps extends BytesDeps {
  readonly metaStore: MetaStore;
  readonly committer: Committer;
  /** A register was repaired: what is remembered of them must be read anew. */
  readonly onRegisters: () => Promise<void>;
}

export function createAuditor(deps: AuditorDeps): Auditor {
  const { metaStore, onRegisters } = deps;
  const repairer = createAuditRepairer(deps);
  return {
    digest: () => readDigest(metaStore),
    leafEntities: (leaves, signal) => readLeafEntities(metaStore, leaves, signal),
    whole: (paths) => readWhole(metaStore, paths),
    count: (onCounted, signal) => countState(metaStore, onCounted, signal),
    damage: () => deps.damage.counters(),
    verifyBytes: (request) => verifyBytes(deps, request),
    settle: (found) => repairer.settle(found),
    async repair(input) {
      const outcome = await repairer.repair(input);
      if (outcome.kind === 'done' && input.at.kind === 'register') await onRegisters();
      return outcome;
    },
  };
}
