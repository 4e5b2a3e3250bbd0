/** The answering side of snapshots and leases. A peer has one snapshot pinned at a time, and reads no other's. */
import { SkerryError, type IncomingCall, type Origin } from '../contracts/index.ts';
import type { OpenedCut } from '../engine/snapshot.ts';
import * as codec from './codec-cuts.ts';
import type { Kept } from './kept.ts';
import { requireVersion } from './protocol.ts';
import type { SiteContext } from './site-context.ts';

type Answer = AsyncGenerator<Uint8Array, void, undefined>;

/** Entities of one page, whatever the asker wants. */
const PAGE_MAX_ENTITIES = 1000;
const PAGE_MAX_BYTES = 4 * 1024 * 1024;

export class CutDesk {
  readonly #site: SiteContext;
  /** Which snapshot is pinned for whom. */
  readonly #pinned = new Map<Origin, string>();

  constructor(site: SiteContext) {
    this.#site = site;
  }

  async *cut({ body, from }: IncomingCall): Answer {
    const { protocol, have, resume, half } = codec.cutRequest.decode(body);
    requireVersion(protocol);
    const { cuts } = this.#kept();
    const resumed = resume === undefined ? undefined : this.#find(from.origin, resume);
    if (resumed !== undefined) return yield codec.cutAnswer.encode(resumed);
    await this.#letGo(from.origin);
    // First, so that nothing of what follows the cut goes before there is a lease of it.
    await this.#site.leases.renew(from.origin, have);
    const opened = await cuts.open(half ? have : undefined);
    const other = this.#pinned.get(from.origin); // of a call that came meanwhile
    this.#pinned.set(from.origin, opened.cutId);
    if (other !== undefined) await cuts.release(other);
    yield codec.cutAnswer.encode(opened);
  }

  /** Pages from a position on, until nothing is left. */
  async *pages({ body, from, signal }: IncomingCall): Answer {
    const { protocol, cutId, after, maxEntities, maxBytes } = codec.cutPagesRequest.decode(body);
    requireVersion(protocol);
    const { cuts } = this.#kept();
    const opened = this.#find(from.origin, cutId);
    if (opened === undefined) throw new SkerryError('NotFound', `there is no snapshot ${cutId} (any more)`);
    const limit = {
      maxEntities: Math.min(maxEntities, PAGE_MAX_ENTITIES),
      maxBytes: Math.min(maxBytes, PAGE_MAX_BYTES),
    };
    let position = after;
    do {
      if (signal.aborted || this.#site.signal.aborted)
        throw new SkerryError('Unavailable', 'the snapshot is not given any further now');
      const page = await cuts.page(cutId, position, limit);
      await this.#site.leases.used(from.origin, opened.vector);
      yield codec.cutPageFrame.encode(page);
      position = page.to;
    } while (position !== undefined);
  }

  async *release({ body, from }: IncomingCall): Answer {
    const { protocol, cutId } = codec.cutReleaseRequest.decode(body);
    requireVersion(protocol);
    const released = this.#find(from.origin, cutId) !== undefined;
    if (released) await this.#letGo(from.origin);
    yield codec.cutReleaseAnswer.encode({ released });
  }

  async *lease({ body, from }: IncomingCall): Answer {
    const { protocol, have } = codec.leaseRequest.decode(body);
    requireVersion(protocol);
    const { leases, options } = this.#site;
    this.#kept();
    if (have === undefined) {
      await this.#letGo(from.origin);
      await leases.drop(from.origin);
    } else await leases.renew(from.origin, have);
    yield codec.leaseAnswer.encode({ ttlMs: have === undefined ? 0 : options.leaseTtlMs });
  }

  #kept(): Kept {
    const { kept } = this.#site;
    if (kept === undefined) throw new SkerryError('NotSupported', 'this site keeps no snapshots and leases');
    return kept;
  }

  #find(asker: Origin, cutId: string): OpenedCut | undefined {
    return this.#pinned.get(asker) === cutId ? this.#kept().cuts.find(cutId) : undefined;
  }

  async #letGo(asker: Origin): Promise<void> {
    const { cuts } = this.#kept();
    const cutId = this.#pinned.get(asker);
    if (cutId !== undefined) await cuts.release(cutId);
    this.#pinned.delete(asker);
    for (const [origin, expired] of this.#pinned) if (!cuts.find(expired)) this.#pinned.delete(origin);
  }
}
