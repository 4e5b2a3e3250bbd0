/** Checks of identities and clocks, by the patterns of contracts/model.ts. */
import type { ChunkHash, Hlc, Origin, PeerAddress, SiteId, Stamp, VersionVector } from '../contracts/index.ts';
import { listOf, mapOf, record, text, textLike, whole, type Check } from './check.ts';

const ORIGINS_MAX = 4096;
const PEERS_MAX = 256;
/** Ten hex digits of a stamp. */
const SEQ_MAX = 2 ** 40 - 1;

export const siteId: Check<SiteId> = textLike(/^[a-z0-9][a-z0-9-]{0,31}$/, 'a site id');
export const origin: Check<Origin> = textLike(/^[a-z0-9][a-z0-9-]{0,31}\.[0-9a-f]{16}$/, 'an origin');
export const hlc: Check<Hlc> = textLike(/^(?:p[0-9a-f]{8})?[0-9a-f]{16}$/, 'a hybrid clock reading');
export const stamp: Check<Stamp> = textLike(
  /^(?:p[0-9a-f]{8})?[0-9a-f]{16}![a-z0-9][a-z0-9-]{0,31}![0-9a-f]{16}![0-9a-f]{10}$/,
  'a stamp',
);
export const chunkHash: Check<ChunkHash> = textLike(/^sha256:[0-9a-f]{64}$/, 'a chunk hash');
export const seq: Check<number> = whole(1, SEQ_MAX);
export const vector: Check<VersionVector> = mapOf(origin, whole(0, SEQ_MAX), ORIGINS_MAX);
export const wallMs: Check<number> = whole(0, 2 ** 48 - 1);
export const firstOps: Check<Readonly<Record<Origin, number>>> = mapOf(origin, wallMs, ORIGINS_MAX);
export const origins: Check<readonly Origin[]> = listOf(origin, ORIGINS_MAX);
export const peers: Check<readonly PeerAddress[]> = listOf(record({ site: siteId, url: text(2048, 1) }), PEERS_MAX);
