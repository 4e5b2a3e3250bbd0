/** Messages about snapshots and leases to bytes and back. Decoding trusts nothing; see codec.ts. */
import { flag, optional, record, whole, yes } from './check.ts';
import { headOnly, version, type Codec } from './codec.ts';
import { cutId, ENTITIES_MAX, pageShape, position } from './cut-checks.ts';
import type {
  CutAnswer,
  CutPageFrame,
  CutPagesRequest,
  CutReleaseAnswer,
  CutReleaseRequest,
  CutRequest,
  LeaseAnswer,
  LeaseRequest,
} from './cut-protocol.ts';
import { hlc, vector } from './identity-checks.ts';

const PAGE_MAX_BYTES = 8 * 1024 * 1024;
const TTL_MAX_MS = 366 * 86_400_000;

export const cutRequest: Codec<CutRequest> = headOnly(
  record({ protocol: version, have: vector, resume: optional(cutId), half: optional(yes) }),
);
export const cutAnswer: Codec<CutAnswer> = headOnly(
  record({ cutId, hlc, vector, trimmed: vector, half: optional(vector) }),
);
export const cutPagesRequest: Codec<CutPagesRequest> = headOnly(
  record({
    protocol: version,
    cutId,
    after: optional(position),
    maxEntities: whole(1, ENTITIES_MAX),
    maxBytes: whole(1, PAGE_MAX_BYTES),
  }),
);
/** The shape of its entities is checked; `checkPage` does the rest, which depends on the snapshot. */
export const cutPageFrame: Codec<CutPageFrame> = headOnly(pageShape);
export const cutReleaseRequest: Codec<CutReleaseRequest> = headOnly(record({ protocol: version, cutId }));
export const cutReleaseAnswer: Codec<CutReleaseAnswer> = headOnly(record({ released: flag }));
export const leaseRequest: Codec<LeaseRequest> = headOnly(record({ protocol: version, have: optional(vector) }));
export const leaseAnswer: Codec<LeaseAnswer> = headOnly(record({ ttlMs: whole(0, TTL_MAX_MS) }));
