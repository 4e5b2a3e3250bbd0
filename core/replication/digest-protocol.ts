/**
 * Messages about the digest (rule 16): root and leaves, the entities of some leaves, and entities whole. Each answer is of one
 * moment; its first frame has the vector of that moment.
 */
import type { VersionVector } from '../contracts/index.ts';
import type { CutEntity } from '../engine/cut-entities.ts';
import type { EntityDigest, EntityPath } from '../engine/digest-tree.ts';

export const DIGEST_CALLS = ['digest', 'digest-entities', 'entities'] as const;

export interface DigestRequest {
  readonly protocol: number;
  /** The leaves too, not the root alone. */
  readonly leaves: boolean;
}

/** Leaves follow in frames of their own, ascending, those that hold something. */
export interface DigestFrame {
  readonly vector?: VersionVector;
  readonly root?: string;
  readonly leaves?: readonly (readonly [leaf: number, digest: string])[];
}

export interface DigestEntitiesRequest {
  readonly protocol: number;
  readonly leaves: readonly number[];
}

export interface DigestEntitiesFrame {
  readonly vector?: VersionVector;
  /** May be empty: a sign that the peer is still looking. */
  readonly entities: readonly EntityDigest[];
}

export interface EntitiesRequest {
  readonly protocol: number;
  /** A version stands for everything of its key. */
  readonly paths: readonly EntityPath[];
}

export interface EntitiesFrame {
  readonly vector?: VersionVector;
  readonly entities: readonly CutEntity[];
}
