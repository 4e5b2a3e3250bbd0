/** Pulling from one peer: what we lack, by our vector; then the call stays open and brings what is new as it comes. */
import type { VersionVector } from '../contracts/index.ts';
import { stampHlc } from '../engine/stamp.ts';
import { joinVectors } from '../engine/vector.ts';
import type { OpsCallFrame, PeerCalls } from './calls.ts';
import { gathered } from './gather.ts';
import type { InboxReport } from './inbox.ts';
import type { PeerView } from './peer-view.ts';
import { behind } from './server.ts';
import type { SiteContext } from './site-context.ts';
import { noteDistance } from './status.ts';

export interface PullOutcome {
  readonly applied: number;
  /** The peer no longer has the ops that are lacking here: only its snapshot helps. */
  readonly isGap?: true;
  /** Ops came that could not be applied: to be fetched again by vector, not at once if nothing at all was applied. */
  readonly isStuck: boolean;
}

export interface PullCall {
  readonly calls: PeerCalls;
  readonly view: PeerView;
  readonly protocol: number;
  /** How long to wait for what is new; 0: only what is there. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

/** One `ops` call, to its end, or until asking anew is better than going on. */
export async function pull(site: SiteContext, call: PullCall): Promise<PullOutcome> {
  const { calls, view, protocol, signal } = call;
  const { vector: have } = await site.replica.cut();
  const skip = site.inbox.blocked();
  // When an origin in quarantine is due, it is asked for again.
  const waitMs = Math.floor(Math.min(call.waitMs, site.inbox.nextDueInMs()));
  const limits = { maxOps: site.options.pageMaxOps, maxBytes: site.options.pageMaxBytes };
  const open = (stopped: AbortSignal): AsyncIterable<OpsCallFrame> =>
    calls.ops({ protocol, have, skip, waitMs }, stopped);
  let applied = 0;
  for await (const received of gathered(open, limits, signal)) {
    const report = await take(site, view, received);
    if (report === 'gap') return { applied, isStuck: true, isGap: true };
    if (report === undefined) continue;
    applied += report.applied;
    // The peer believes that we have all it sent: it would go on behind a gap.
    if (report.early > 0 || site.inbox.blocked().length > skip.length) return { applied, isStuck: applied === 0 };
  }
  return { applied, isStuck: false };
}

async function take(
  site: SiteContext,
  view: PeerView,
  { frame, bytes }: OpsCallFrame,
): Promise<InboxReport | 'gap' | undefined> {
  view.lastContactMs = site.clock.wallMs();
  view.bytesReceived += bytes;
  switch (frame.kind) {
    case 'page': {
      const last = frame.ops.at(-1);
      const report = await site.inbox.receive(frame.ops, { from: view.site, ...viaOf(view) });
      view.opsReceived += report.applied;
      view.vector = behind(view.vector, frame.ops);
      if (last !== undefined) view.seenHlc = later(view.seenHlc, stampHlc(last.op.stamp));
      view.hlc = later(view.hlc, view.seenHlc);
      return report;
    }
    case 'caught-up':
      view.vector = joinVectors(view.vector, frame.vector satisfies VersionVector);
      view.hlc = later(view.hlc, frame.hlc);
      view.seenHlc = later(view.seenHlc, frame.hlc);
      noteDistance(view, (await site.replica.cut()).vector, site.clock);
      return undefined;
    case 'gap':
      site.onFact({ kind: 'must-bootstrap', peer: view.site, origin: frame.origin, trimmedTo: frame.trimmedTo });
      view.state = 'must-bootstrap';
      return 'gap';
    case 'end':
      return undefined;
  }
}

const viaOf = ({ origin }: PeerView) => (origin === undefined ? {} : { via: origin });

const later = (a: string, b: string): string => (a > b ? a : b);
