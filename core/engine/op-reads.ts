/** Rows that applying an op surely reads: what is declared is read at once, what is not costs a round of its own. */
import type { MetaKey, MetaRange, Op } from '../contracts/index.ts';
import { bucketLeaf, leafRow, registerLeaf } from './digest.ts';
import { successorRange } from './key-state.ts';
import {
  bucketKey,
  bucketTombstoneKey,
  chunkKey,
  counterKey,
  digestKey,
  headKey,
  registerKey,
  tombstoneKey,
  versionKey,
} from './keys.ts';

export interface OpReads {
  readonly keys: readonly MetaKey[];
  readonly ranges: readonly MetaRange[];
}

export function readsOfOp({ body, stamp }: Op): OpReads {
  switch (body.type) {
    case 'version.put': {
      const { bucket, key, content } = body;
      const chunks = (content?.manifest ?? []).map(({ hash }) => chunkKey(hash));
      return { keys: [...readsOfKey(bucket, key), tombstoneKey(bucket, key, stamp), ...chunks], ranges: [] };
    }
    case 'version.remove': {
      const { bucket, key, target } = body;
      return { keys: readsOfTarget(bucket, key, target), ranges: [successorRange(bucket, key)] };
    }
    case 'version.setting':
      return { keys: readsOfTarget(body.bucket, body.key, body.target), ranges: [] };
    case 'bucket.create':
    case 'bucket.remove':
    case 'bucket.setting': {
      const { bucket } = body;
      const keys = [bucketKey(bucket), bucketTombstoneKey(bucket), counterKey(bucket), digestKey(bucketLeaf(bucket))];
      return { keys, ranges: [] };
    }
    case 'principal.put':
    case 'principal.remove':
    case 'policy.put':
    case 'policy.remove':
    case 'member.put':
    case 'member.remove': {
      const kind = body.type.slice(0, body.type.indexOf('.'));
      return { keys: [registerKey(kind, body.id), digestKey(registerLeaf(kind, body.id))], ranges: [] };
    }
    default:
      return { keys: [], ranges: [] };
  }
}

/** What every op of a key reads. */
export const readsOfKey = (bucket: string, key: string): readonly MetaKey[] => [
  bucketKey(bucket),
  headKey(bucket, key),
  counterKey(bucket),
  tombstoneKey(bucket, key, null),
  leafRow(bucket, key),
];

const readsOfTarget = (bucket: string, key: string, target: string | null): readonly MetaKey[] => [
  ...readsOfKey(bucket, key),
  ...(target === null ? [] : [versionKey(bucket, key, target), tombstoneKey(bucket, key, target)]),
];
