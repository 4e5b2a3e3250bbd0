/** Settings of replication and their defaults: the one list. */

export interface ReplicationOptions {
  /** Most ops of one page. */
  readonly pageMaxOps: number;
  /** Bytes of one page, roughly. */
  readonly pageMaxBytes: number;
  /** How long a pull stays open for what is new. */
  readonly longPollMs: number;
  /** A call in which nothing comes for this long has failed. */
  readonly callTimeoutMs: number;
  /** First and longest wait after a failure; doubled between, with jitter. */
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** Ops, watermarks and clocks this far ahead of the wall clock are not let in (rule 11). The engine's setting. */
  readonly maxClockDriftMs: number;
  /** Removals are remembered this long: a newcomer may bring data that is half as old. The engine's setting. */
  readonly tombstoneGraceMs: number;
  /** A peer that has not pulled from here for this long cannot reach us: what it lacks is pushed. */
  readonly pushAfterMs: number;
  /** Bytes a second of ops and chunks from each peer; 0 for no limit. */
  readonly receiveBytesPerSecond: number;
  /** Bytes a second pushed to each peer; 0 for no limit. What peers pull is limited on their side. */
  readonly sendBytesPerSecond: number;
  /** Ops that peers push and that wait to be applied, bytes; more are refused with `SlowDown`. */
  readonly inboxMaxBytes: number;
  /** Calls that one peer may have running here; more are refused with `SlowDown`. */
  readonly callsPerPeer: number;
  /** Chunk requests running at one peer. */
  readonly chunkCallsPerPeer: number;
  /** Chunks and bytes of one chunk request. */
  readonly chunkBatchMaxHashes: number;
  readonly chunkBatchMaxBytes: number;
  /** Bytes of chunks asked for and not yet stored, over all peers. */
  readonly fetchMaxBytes: number;
  /** Versions whose chunks are fetched at a time. */
  readonly fetchVersions: number;
  /** Between background comparisons of the digest with connected peers, at most; 0: none. */
  readonly validateIntervalMs: number;
  /** What a peer may still ask for is kept this long after it last asked (rule 14). */
  readonly leaseTtlMs: number;
  /** A peer that has this many ops which are lacking here, most of all there are, is asked for its snapshot instead. */
  readonly snapshotMinOps: number;
  /** How long an empty site waits for a peer to be within reach before it works alone. */
  readonly joinWaitMs: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

export const DEFAULT_OPTIONS: ReplicationOptions = Object.freeze({
  pageMaxOps: 512,
  pageMaxBytes: MIB,
  longPollMs: 20_000,
  callTimeoutMs: 15_000,
  backoffMinMs: 200,
  backoffMaxMs: 30_000,
  maxClockDriftMs: 60_000,
  tombstoneGraceMs: 24 * 60 * 60_000,
  pushAfterMs: 2_000,
  receiveBytesPerSecond: 0,
  sendBytesPerSecond: 0,
  inboxMaxBytes: 32 * MIB,
  callsPerPeer: 32,
  chunkCallsPerPeer: 2,
  chunkBatchMaxHashes: 128,
  chunkBatchMaxBytes: 8 * MIB,
  fetchMaxBytes: 32 * MIB,
  fetchVersions: 32,
  validateIntervalMs: 3_600_000,
  leaseTtlMs: 10 * 60_000,
  snapshotMinOps: 20_000,
  joinWaitMs: 3_000,
});
