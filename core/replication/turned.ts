/**
 * Lending a link and using one that was lent. The lender answers the calls of snapshots and leases and no other; the borrower takes the
 * lender's snapshot and gives the link back.
 */
import {
  isSkerryError,
  SkerryError,
  type IncomingCall,
  type Origin,
  type PeerIdentity,
  type ServeCall,
} from '../contracts/index.ts';
import type { Bootstrap, BootstrapPeer } from './bootstrap.ts';
import { BorrowedLink } from './borrowed-link.ts';
import { PeerCalls } from './calls.ts';
import { CUT_CALLS } from './cut-protocol.ts';
import { newPeerView } from './peer-view.ts';
import { requireVersion } from './protocol.ts';
import type { SiteContext } from './site-context.ts';
import { lacking } from './status.ts';
import * as codec from './turned-protocol.ts';
import type { TurnedError, TurnFrame } from './turned-protocol.ts';

type Answer = AsyncGenerator<Uint8Array, void, undefined>;
type Order = Extract<TurnFrame, { readonly kind: 'call' }>;

const LENT: ReadonlySet<string> = new Set(CUT_CALLS);
/** Calls of a borrower that run at once; it needs two or three. */
const RUNNING_MAX = 32;

/** Lends the link to the peer until it gives it back; `serve` answers what it calls. */
export async function lend(site: SiteContext, peer: BootstrapPeer, serve: ServeCall): Promise<void> {
  const { calls, protocol, signal, view } = peer;
  const { vector } = await site.replica.cut();
  if (view.origin === undefined) throw new SkerryError('Internal', `${view.site} was not asked who it is`);
  const from = { site: view.site, origin: view.origin };
  const running = new Map<number, { readonly abort: AbortController; readonly end: Promise<void> }>();
  try {
    for await (const frame of calls.turn({ protocol, vector }, signal)) {
      if (frame.kind === 'cancel') running.get(frame.id)?.abort.abort();
      if (frame.kind !== 'call') continue;
      if (running.size >= RUNNING_MAX || running.has(frame.id))
        throw new SkerryError(
          'InvalidArgument',
          `${view.site} has ${running.size} calls running over the link it was lent`,
        );
      const abort = new AbortController();
      const end = answer(peer, serve, { from, order: frame, abort }).finally(() => running.delete(frame.id));
      end.catch((error: unknown) =>
        site.logger.debug({ err: error, peer: view.site }, 'an answer did not get through'),
      );
      running.set(frame.id, { abort, end });
    }
  } finally {
    const left = [...running.values()];
    for (const { abort } of left) abort.abort();
    await Promise.allSettled(left.map(({ end }) => end));
  }
}

interface Turned {
  readonly from: PeerIdentity;
  readonly order: Order;
  readonly abort: AbortController;
}

async function answer(
  { calls, protocol, signal }: BootstrapPeer,
  serve: ServeCall,
  { from, order: { id, name, body }, abort }: Turned,
): Promise<void> {
  try {
    if (!LENT.has(name)) throw new SkerryError('NotSupported', `${name} is not answered over a link that is lent`);
    for await (const bytes of serve({ name, from, body, signal: abort.signal })) {
      const { taken } = await calls.turned({ protocol, id, kind: 'frame', bytes }, signal);
      if (!taken || abort.signal.aborted) return;
    }
    await calls.turned({ protocol, id, kind: 'end' }, signal);
  } catch (error) {
    if (signal.aborted || abort.signal.aborted) throw error;
    await calls.turned({ protocol, id, kind: 'error', error: wireError(error) }, signal);
  }
}

function wireError(error: unknown): TurnedError {
  if (!isSkerryError(error)) return { code: 'Internal', message: 'internal error', retryable: false, details: {} };
  const { code, message, retryable, details } = error;
  return { code, message, retryable, details };
}

/** The borrowing side: one link of each origin. */
export class Borrower {
  readonly #site: SiteContext;
  readonly #bootstrap: Bootstrap;
  readonly #links = new Map<Origin, BorrowedLink>();

  constructor(site: SiteContext, bootstrap: Bootstrap) {
    this.#site = site;
    this.#bootstrap = bootstrap;
  }

  async *turn({ body, from, signal }: IncomingCall): Answer {
    const { protocol, vector } = codec.turnRequest.decode(body);
    requireVersion(protocol);
    const own = await this.#site.replica.cut();
    if (lacking(own.vector, vector) === 0) return;
    await this.#links.get(from.origin)?.close();
    const link = new BorrowedLink(this.#site.timers);
    this.#links.set(from.origin, link);
    const both = AbortSignal.any([signal, this.#site.signal]);
    const use = this.#use(link, { protocol, from, signal: both });
    try {
      for await (const order of link.orders(both)) yield codec.turnFrame.encode(order);
    } finally {
      await link.close();
      if (this.#links.get(from.origin) === link) this.#links.delete(from.origin);
      await use;
    }
  }

  async *turned({ body, from }: IncomingCall): Answer {
    const message = codec.turnedRequest.decode(body);
    requireVersion(message.protocol);
    const taken = (await this.#links.get(from.origin)?.deliver(message)) ?? false;
    yield codec.turnedAnswer.encode({ taken });
  }

  async #use(
    link: BorrowedLink,
    {
      protocol,
      from,
      signal,
    }: { readonly protocol: number; readonly from: PeerIdentity; readonly signal: AbortSignal },
  ): Promise<void> {
    const { timers, options, logger } = this.#site;
    const calls = new PeerCalls({ link, timers, callTimeoutMs: options.callTimeoutMs, onFrame: async () => undefined });
    const view = newPeerView(from.site, '');
    view.origin = from.origin;
    try {
      await this.#bootstrap.tryTake({ calls, view, protocol, signal }, 'gap');
    } catch (error) {
      // Its lender comes again when it finds that ops are still lacking here.
      logger.warn({ err: error, peer: from.site }, 'the snapshot of a peer that only dials out broke off');
    } finally {
      await link.close();
    }
  }
}
