/** A peer's digest over the wire. What comes is checked: shapes, order, sizes, and that it tells of nothing beyond its vector. */
import { SkerryError, type VersionVector } from '../contracts/index.ts';
import type { CutEntity } from '../engine/cut-entities.ts';
import { rootOf, type EntityDigest } from '../engine/digest-tree.ts';
import { stampDot } from '../engine/stamp.ts';
import { coversDot } from '../engine/vector.ts';
import type { PeerCalls } from './calls.ts';
import * as codec from './codec-digest.ts';
import type { DigestSource } from './comparison.ts';
import { stampsOf } from './cut-checks.ts';

/** Entities of one answer; an asker that gets more asks for fewer leaves. */
const DIGESTS_MAX = 200_000;
const ENTITIES_MAX = 20_000;

export interface DigestPeer {
  readonly calls: Pick<PeerCalls, 'stream'>;
  readonly protocol: number;
  readonly signal: AbortSignal;
}

/** Vector and root alone: what the background check asks for. */
export async function remoteRoot({
  calls,
  protocol,
  signal,
}: DigestPeer): Promise<{ readonly vector: VersionVector; readonly root: string }> {
  const request = codec.digestRequest.encode({ protocol, leaves: false });
  for await (const bytes of calls.stream('digest', request, signal)) {
    const { vector, root } = codec.digestFrame.decode(bytes);
    if (vector === undefined || root === undefined) break;
    return { vector, root };
  }
  throw malformed('no vector and root');
}

export function digestSource(peer: DigestPeer): DigestSource {
  return {
    digest: () => readDigest(peer),
    leafEntities: (leaves) => readEntities(peer, leaves),
    whole: (paths) => readWhole(peer, paths),
  };
}

async function readDigest({ calls, protocol, signal }: DigestPeer): ReturnType<DigestSource['digest']> {
  const leaves = new Map<number, string>();
  let first: { readonly vector: VersionVector; readonly root: string } | undefined;
  let last = -1;
  for await (const bytes of calls.stream('digest', codec.digestRequest.encode({ protocol, leaves: true }), signal)) {
    const { vector, root, leaves: some = [] } = codec.digestFrame.decode(bytes);
    if (first === undefined) {
      if (vector === undefined || root === undefined) throw malformed('no vector and root');
      first = { vector, root };
    }
    for (const [leaf, digest] of some) {
      if (leaf <= last) throw malformed('leaves out of order');
      last = leaf;
      leaves.set(leaf, digest);
    }
  }
  if (first === undefined) throw malformed('no vector and root');
  if (rootOf(leaves) !== first.root) throw malformed('a root that is not of its leaves');
  return { vector: first.vector, leaves };
}

async function readEntities(
  { calls, protocol, signal }: DigestPeer,
  leaves: readonly number[],
): ReturnType<DigestSource['leafEntities']> {
  const wanted = new Set(leaves);
  const entities: EntityDigest[] = [];
  let at: VersionVector | undefined;
  const request = codec.digestEntitiesRequest.encode({ protocol, leaves });
  for await (const bytes of calls.stream('digest-entities', request, signal)) {
    const frame = codec.digestEntitiesFrame.decode(bytes);
    at ??= frame.vector ?? fail('no vector');
    if (entities.length + frame.entities.length > DIGESTS_MAX)
      throw new SkerryError('TooLarge', `the peer has more than ${DIGESTS_MAX} entities in ${leaves.length} leaves`);
    for (const entity of frame.entities) {
      if (!wanted.has(entity.leaf)) throw malformed('an entity of a leaf that was not asked for');
      entities.push(entity);
    }
  }
  return { vector: at ?? fail('no vector'), entities };
}

async function readWhole(
  { calls, protocol, signal }: DigestPeer,
  paths: Parameters<DigestSource['whole']>[0],
): ReturnType<DigestSource['whole']> {
  const entities: CutEntity[] = [];
  let at: VersionVector | undefined;
  for await (const bytes of calls.stream('entities', codec.entitiesRequest.encode({ protocol, paths }), signal)) {
    const frame = codec.entitiesFrame.decode(bytes);
    at ??= frame.vector ?? fail('no vector');
    if (entities.length + frame.entities.length > ENTITIES_MAX)
      throw new SkerryError('TooLarge', `the peer has more than ${ENTITIES_MAX} entities of what was asked for`);
    for (const entity of frame.entities) {
      checkCovered(entity, at);
      entities.push(entity);
    }
  }
  return { vector: at ?? fail('no vector'), entities };
}

function checkCovered(entity: CutEntity, vector: VersionVector): void {
  if (!stampsOf(entity).every((stamp) => coversDot(vector, stampDot(stamp))))
    throw malformed('an entity of an op that its vector does not cover');
}

function fail(what: string): never {
  throw malformed(what);
}

const malformed = (what: string): SkerryError => new SkerryError('InvalidArgument', `a digest answer with ${what}`);
