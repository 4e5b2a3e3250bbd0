/** Who is there? Every session begins with it, and it is repeated while the session lasts. */
import { isSkerryError, SkerryError, type Dot, type Origin, type PeerIdentity } from '../contracts/index.ts';
import { seqOf } from '../engine/vector.ts';
import { duplicateSite } from './callers.ts';
import type { PeerCalls } from './calls.ts';
import { fenceAgainst, stampAt } from './fencing.ts';
import type { ReplicationOptions } from './options.ts';
import { vector } from './identity-checks.ts';
import type { PeerView } from './peer-view.ts';
import { PROTOCOL, requireVersion, type HelloAnswer } from './protocol.ts';
import type { SiteContext } from './site-context.ts';
import { noteDistance } from './status.ts';

/** Clocks agree when they are at most this part of `maxClockDriftMs` apart. */
const AGREEING_FRACTION = 4;

/**
 * The version to speak. `Conflict` where two sites have one id, `NotSupported` without a common version, `Unavailable` when another
 * site answers than the one that was called. Fences this site when the peer knows more of it than it does. `Conflict` too where one of us was
 * removed from the cluster, or is new and brings what is too old.
 */
export async function shakeHands(
  site: SiteContext,
  calls: PeerCalls,
  view: PeerView,
  signal: AbortSignal,
): Promise<number> {
  const [sentMs, beganMs] = [site.clock.wallMs(), site.clock.monotonicMs()];
  const answer = await hello(site, calls, view, signal);
  const [receivedMs, endedMs] = [site.clock.wallMs(), site.clock.monotonicMs()];
  requireVersion(answer.protocol);
  view.origin = answer.origin;
  await site.membership.judge(answer);
  site.callers.meet(answer, answer.session);
  if (answer.prove !== undefined) await prove(site, calls, answer.prove, signal);
  const fenced = await fenceAgainst(site.replica, answer);
  if (fenced !== undefined) {
    site.fence(fenced);
    throw new SkerryError('Unavailable', 'this site is fenced', { details: { reason: 'fenced' } });
  }
  view.vector = answer.vector;
  view.hlc = answer.hlc;
  noteDistance(view, (await site.replica.cut()).vector, site.clock);
  const skewMs = answer.wallMs - (sentMs + receivedMs) / 2;
  view.skewMs = Math.round(skewMs);
  view.lastContactMs = receivedMs;
  const clockAgrees = isSameTime(skewMs, endedMs - beganMs, site.options);
  const agreed = clockAgrees ? { agreedOffsetMs: receivedMs - endedMs } : {};
  site.onHandshake({ site: view.site, vector: answer.vector, ...agreed });
  return answer.protocol;
}

/** Whether a clock that seems this far away, give or take half a round trip, may vouch for ours (rule 11). */
export function isSameTime(skewMs: number, tripMs: number, { maxClockDriftMs }: ReplicationOptions): boolean {
  return Math.abs(skewMs) + tripMs / 2 <= maxClockDriftMs / AGREEING_FRACTION;
}

/** The peer is fenced and asks whether we have the same op under this dot. */
async function prove(site: SiteContext, calls: PeerCalls, dot: Dot, signal: AbortSignal): Promise<void> {
  const proof = await stampAt(site.replica, await site.replica.cut(), dot);
  if (proof !== undefined) await calls.hello({ ...(await site.report()), protocol: PROTOCOL, proof }, signal);
}

async function hello(site: SiteContext, calls: PeerCalls, view: PeerView, signal: AbortSignal): Promise<HelloAnswer> {
  const evicted = view.origin === undefined ? undefined : await site.membership.noticeFor(view.origin);
  const request = { ...(await site.report()), protocol: PROTOCOL, ...(evicted === undefined ? {} : { evicted }) };
  const answer = await calls.hello(request, signal).catch(async (error: unknown) => refused(site, view, error));
  if (answer.site !== site.self.site) {
    if (answer.site === view.site) return answer;
    throw new SkerryError('Unavailable', `${view.url} is ${answer.site}, not ${view.site}`);
  }
  const origins = [site.self.origin, answer.origin];
  site.onFact({ kind: 'duplicate-site', site: answer.site, origins });
  throw duplicateSite(answer.site, origins);
}

/** Two of our own origin: this directory, or the one that was copied, is a clone. */
function clashing({ site, origin }: PeerIdentity, { url }: PeerView, { details }: SkerryError): readonly Origin[] {
  const { site: named, origins } = details;
  const isClone = named === site && Array.isArray(origins) && origins.every((one) => one === origin);
  return [origin, isClone ? origin : `at ${url}`];
}

/** The peer saw the clash first: it is our alarm as much as its own. */
async function refused(site: SiteContext, view: PeerView, error: unknown): Promise<never> {
  if (!isSkerryError(error, 'Conflict')) throw error;
  const { reason, origin, vector: theirs } = error.details;
  if (reason === 'duplicate-site')
    site.onFact({ kind: 'duplicate-site', site: site.self.site, origins: clashing(site.self, view, error) });
  if (reason === 'evicted' && typeof origin === 'string') {
    const known = vector(theirs, 'vector');
    await site.membership.heed({ site: view.site, vector: known }, { origin, knownSeq: seqOf(known, origin) });
  }
  throw error;
}
