/** Messages about the digest to bytes and back. Decoding trusts nothing; see codec.ts. */
import { leafOfPath, type EntityDigest, type EntityPath } from '../engine/digest-tree.ts';
import { flag, listOf, oneOf, optional, record, refuse, textLike, whole, type Check } from './check.ts';
import { headOnly, version, type Codec } from './codec.ts';
import { cutEntity } from './cut-checks.ts';
import type {
  DigestEntitiesFrame,
  DigestEntitiesRequest,
  DigestFrame,
  DigestRequest,
  EntitiesFrame,
  EntitiesRequest,
} from './digest-protocol.ts';
import { stamp, vector } from './identity-checks.ts';
import { bucket, id, key } from './op-checks.ts';

const LEAVES = 4096;
/** Of one message. */
export const LEAVES_MAX = 1024;
export const DIGESTS_MAX = 1000;
export const PATHS_MAX = 100;
const ENTITIES_MAX = 1000;

const digest = textLike<string>(/^[0-9a-f]{32}$/, 'a digest');
const root = textLike<string>(/^[0-9a-f]{64}$/, 'a root digest');
const leaf = whole(0, LEAVES - 1);

const leafPair: Check<readonly [number, string]> = (given, at) => {
  if (!Array.isArray(given) || given.length !== 2) return refuse(at, 'not a leaf and its digest');
  leaf(given[0], `${at}[0]`);
  digest(given[1], `${at}[1]`);
  return given as unknown as readonly [number, string];
};

const PATHS = {
  version: record({ bucket, key, stamp }),
  bucket: record({ bucket }),
  register: record({ of: textLike(/^[a-z]{1,32}$/, 'a kind of register'), id }),
};
const pathKind = record({ kind: oneOf('version', 'bucket', 'register') });

const path: Check<EntityPath> = (given, at) => {
  PATHS[pathKind(given, at).kind](given, at);
  return given as EntityPath;
};

/** As this program writes it, so that two are the same if their texts are. */
function canonical(given: EntityPath): EntityPath {
  switch (given.kind) {
    case 'version':
      return { kind: 'version', bucket: given.bucket, key: given.key, stamp: given.stamp };
    case 'bucket':
      return { kind: 'bucket', bucket: given.bucket };
    case 'register':
      return { kind: 'register', of: given.of, id: given.id };
  }
}

export const digestRequest: Codec<DigestRequest> = headOnly(record({ protocol: version, leaves: flag }));
export const digestFrame: Codec<DigestFrame> = headOnly(
  record({ vector: optional(vector), root: optional(root), leaves: optional(listOf(leafPair, LEAVES_MAX)) }),
);
export const digestEntitiesRequest: Codec<DigestEntitiesRequest> = headOnly(
  record({ protocol: version, leaves: listOf(leaf, LEAVES) }),
);

const digestsShape: Codec<DigestEntitiesFrame> = headOnly(
  record({ vector: optional(vector), entities: listOf(record({ path, stamp, digest }), DIGESTS_MAX) }),
);
/** The leaf of an entity follows from what it is. */
export const digestEntitiesFrame: Codec<DigestEntitiesFrame> = {
  encode: (message) => digestsShape.encode(message),
  decode(bytes) {
    const { entities, ...rest } = digestsShape.decode(bytes);
    const known = entities.map((one): EntityDigest => {
      const at = canonical(one.path);
      return { path: at, leaf: leafOfPath(at), stamp: one.stamp, digest: one.digest };
    });
    return { ...rest, entities: known };
  },
};

export const entitiesRequest: Codec<EntitiesRequest> = headOnly(
  record({ protocol: version, paths: listOf(path, PATHS_MAX) }),
);
/** What the entities tell of is checked against the vector by whoever has the whole answer. */
export const entitiesFrame: Codec<EntitiesFrame> = headOnly(
  record({ vector: optional(vector), entities: listOf(cutEntity, ENTITIES_MAX) }),
);
