/**
 * The protocol between sites: its range of versions, its calls and their messages. A call is stateless: each says which
 * version it speaks, so that either side may restart at any time. Vectors, not clocks, say where to go on (rule 3).
 */
import {
  SkerryError,
  type ChunkHash,
  type Dot,
  type Hlc,
  type Origin,
  type PeerAddress,
  type RecordKind,
  type SiteId,
  type Stamp,
  type VersionVector,
} from '../contracts/index.ts';
import type { FetchedChunk, VersionRef, WireOp } from '../engine/replica.ts';
import { CUT_CALLS } from './cut-protocol.ts';
import { TURNED_CALLS } from './turned-calls.ts';
import { DIGEST_CALLS } from './digest-protocol.ts';

export interface ProtocolRange {
  readonly min: number;
  readonly max: number;
}

/** Versions that this program speaks. */
export const PROTOCOL: ProtocolRange = Object.freeze({ min: 1, max: 1 });

/** The highest version that both speak. `NotSupported` when there is none. */
export function negotiate(ours: ProtocolRange, theirs: ProtocolRange): number {
  const version = Math.min(ours.max, theirs.max);
  if (version >= Math.max(ours.min, theirs.min)) return version;
  throw new SkerryError(
    'NotSupported',
    `no common protocol version: here ${ours.min} to ${ours.max}, there ${theirs.min} to ${theirs.max}`,
    { details: { ours, theirs } },
  );
}

/** `NotSupported` for a call in a version that was not offered. */
export function requireVersion(version: number, ours: ProtocolRange = PROTOCOL): void {
  negotiate(ours, { min: version, max: version });
}

/** What a site says of itself. */
export interface SiteReport {
  readonly site: SiteId;
  readonly origin: Origin;
  readonly vector: VersionVector;
  readonly hlc: Hlc;
  readonly wallMs: number;
  /** Of the process, made at random: two that go by one origin are told apart (rule 12). */
  readonly session?: string;
  /** Peers that it knows and their addresses. */
  readonly peers: readonly PeerAddress[];
  /** Unix milliseconds of the first op of each origin in `vector`, where it still knows: how old the data is that it brings. */
  readonly firstOpMs?: Readonly<Record<Origin, number>>;
}

export interface HelloRequest extends SiteReport {
  readonly protocol: ProtocolRange;
  /** An op of its own that the asker has: it wants to know whether the answerer has the same one. */
  readonly prove?: Dot;
  /** Stamp of the op that the answerer wanted to know of in its last answer; absent: it is not here. */
  readonly proof?: Stamp;
  /** Tells the origin that answered before that it was removed, and which op of it is the last that is known. */
  readonly evicted?: { readonly origin: Origin; readonly knownSeq: number };
}

export interface HelloAnswer extends SiteReport {
  /** The version to speak. */
  readonly protocol: number;
  /**
   * Stamp of the last op of the asker's origin that the answerer has, unless it has none or trimmed it. The asker compares
   * it with its own op of that `seq`: another one means that two histories go under one origin (rule 12).
   */
  readonly yours?: Stamp;
  /** As in the request, both. */
  readonly prove?: Dot;
  readonly proof?: Stamp;
}

export interface OpsRequest {
  readonly protocol: number;
  readonly have: VersionVector;
  /** Origins whose ops the asker does not want now, since it could not apply them. */
  readonly skip: readonly Origin[];
  /** The call stays open this long for what is new: the live stream. */
  readonly waitMs: number;
}

export type OpsFrame =
  | { readonly kind: 'page'; readonly ops: readonly WireOp[] }
  /** The asker lacks ops that are trimmed here: it must bootstrap. Ends the call. */
  | { readonly kind: 'gap'; readonly origin: Origin; readonly trimmedTo: number }
  /** All that there is was sent; the call stays open. */
  | { readonly kind: 'caught-up'; readonly vector: VersionVector; readonly hlc: Hlc }
  /** The wait is over; ask again. */
  | { readonly kind: 'end' };

export interface PushRequest {
  readonly protocol: number;
  readonly ops: readonly WireOp[];
}

export interface PushAnswer {
  readonly vector: VersionVector;
  readonly hlc: Hlc;
  /** Origins whose ops cannot be applied there now. */
  readonly blocked: readonly Origin[];
  /** Some of the ops are in the sender's snapshot, with which this site is half filled: it needs the rest first. */
  readonly isHalf?: true;
}

/** A chunk, and a version that holds it: a small body is found only through its version. */
export interface ChunkRef {
  readonly hash: ChunkHash;
  readonly holder: VersionRef;
}

export interface ChunksRequest {
  readonly protocol: number;
  readonly chunks: readonly ChunkRef[];
}

/** Chunks come in the order that was asked, each in pieces in order, or are reported missing. */
export type ChunksFrame =
  | {
      readonly kind: 'piece';
      readonly hash: ChunkHash;
      readonly record: RecordKind;
      /** Bytes of the whole chunk. */
      readonly length: number;
      readonly offset: number;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: 'missing'; readonly hashes: readonly ChunkHash[] };

export interface WantsRequest {
  readonly protocol: number;
  /** How long to wait for something to be wanted. */
  readonly waitMs: number;
}

export interface WantsAnswer {
  /** What the answerer lacks and cannot fetch by itself. */
  readonly chunks: readonly ChunkRef[];
}

export interface PutChunksRequest {
  readonly protocol: number;
  readonly chunks: readonly FetchedChunk[];
}

export interface PutChunksAnswer {
  /** How many of them were wanted and are stored. */
  readonly stored: number;
}

/** What a member reports of itself; relayed by others unchanged (rule 14). */
export interface Watermark {
  readonly origin: Origin;
  readonly hlc: Hlc;
  readonly vector: VersionVector;
}

export interface WatermarksMessage {
  readonly protocol: number;
  readonly marks: readonly Watermark[];
}

export const CALLS = [
  'hello',
  'ops',
  'push',
  'chunks',
  'wants',
  'put-chunks',
  'watermarks',
  ...CUT_CALLS,
  ...TURNED_CALLS,
  ...DIGEST_CALLS,
] as const;
export type CallName = (typeof CALLS)[number];
