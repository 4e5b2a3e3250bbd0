/** What every part of a site's replication works with. */
import type { Clock, Logger, PeerIdentity, Random, Timers } from '../contracts/index.ts';
import type { Auditor } from '../engine/auditor.ts';
import type { Replica } from '../engine/replica.ts';
import type { Callers } from './callers.ts';
import type { FencedFact, Handshake, OnFact } from './facts.ts';
import type { Fetcher } from './fetcher.ts';
import type { Inbox } from './inbox.ts';
import type { Membership } from './membership.ts';
import type { Joining } from './joining.ts';
import type { Kept } from './kept.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import type { ReplicationOptions } from './options.ts';
import type { SiteReport } from './protocol.ts';
import type { ReplicationState } from './state.ts';
import type { Wakeup } from './wakeup.ts';
import type { Watermarks } from './watermarks.ts';

export interface SiteContext {
  readonly self: PeerIdentity;
  readonly replica: Replica;
  readonly inbox: Inbox;
  readonly fetcher: Fetcher;
  readonly watermarks: Watermarks;
  readonly state: ReplicationState;
  /** Snapshots and leases; absent where the site has none. */
  readonly kept: Kept | undefined;
  /** Its digest and what puts it right; absent where the site keeps none. */
  readonly auditor: Auditor | undefined;
  readonly leases: LeaseKeeper;
  readonly joining: Joining;
  readonly callers: Callers;
  readonly membership: Membership;
  /** Told at every commit, local or applied. */
  readonly commits: Wakeup;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly options: ReplicationOptions;
  /** What this site says of itself now. */
  readonly report: () => Promise<SiteReport>;
  readonly onFact: OnFact;
  readonly onHandshake: (handshake: Handshake) => void;
  /** This site was restored or cloned: it neither serves nor asks until it starts anew (rule 12). */
  readonly fence: (fact: FencedFact) => void;
  /** Aborts when this site is fenced or closes. */
  readonly signal: AbortSignal;
}
