/** What replication remembers, in the site's own meta-store: a row of `peers` for each origin that reported. */
import type { MetaStore, Origin, PeerAddress, PeerIdentity } from '../contracts/index.ts';
import { decodeRecord, encodeRecord } from '../engine/records.ts';
import type { Replica } from '../engine/replica.ts';
import { originSite } from '../engine/stamp.ts';
import type { Watermark } from './protocol.ts';
import type { ReplicationState } from './state.ts';

const PREFIX = 'watermark/';
/** Behind every origin. */
const END = Buffer.from('watermark0');
const ROWS_MAX = 10_000;

export interface MetaStateDeps {
  readonly metaStore: MetaStore;
  readonly replica: Pick<Replica, 'cut'>;
  readonly self: PeerIdentity;
  readonly peers: readonly PeerAddress[];
}

/**
 * Members are this site and its configured peers, each by the origin that reported last. A peer that never reported counts as a
 * member that says nothing: nothing is stable.
 */
export function createMetaState({ metaStore, replica, self, peers }: MetaStateDeps): ReplicationState {
  async function loadWatermarks(): Promise<readonly Watermark[]> {
    const rows = await metaStore.scan({ space: 'peers', from: Buffer.from(PREFIX), to: END, limit: ROWS_MAX });
    return rows.map(({ value }) => decodeRecord<Watermark>(value));
  }

  async function latestOrigin(site: string): Promise<Origin> {
    const marks = (await loadWatermarks()).filter(({ origin }) => originSite(origin) === site);
    const [first, ...others] = marks;
    if (first === undefined) return `${site}.`;
    return others.reduce((latest, mark) => (mark.hlc > latest.hlc ? mark : latest), first).origin;
  }

  return {
    tick: () => replica.cut(),
    loadWatermarks,
    saveWatermarks: (marks) =>
      metaStore.transact({}, () => ({
        kind: 'write',
        writes: marks.map((mark) => ({
          space: 'peers',
          key: Buffer.from(`${PREFIX}${mark.origin}`),
          value: encodeRecord(mark),
        })),
        result: undefined,
      })),
    members: async () => [self.origin, ...(await Promise.all(peers.map(({ site }) => latestOrigin(site))))],
    bootstrapping: () => false,
  };
}
