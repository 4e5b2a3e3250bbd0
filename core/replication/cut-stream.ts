/** A peer's snapshot as the engine merges it: one stream of pages, opened anew wherever the last one broke. */
import { SkerryError, type SiteId } from '../contracts/index.ts';
import type { CutEntity, CutPosition } from '../engine/cut-entities.ts';
import type { CutSource } from '../engine/merge-cut.ts';
import type { CutPage, CutPageLimit, OpenedCut } from '../engine/snapshot.ts';
import { EMPTY_VECTOR, joinVectors } from '../engine/vector.ts';
import type { CutPageCallFrame, PeerCalls } from './calls.ts';
import { checkPage } from './cut-checks.ts';

export interface CutStreamDeps {
  readonly calls: PeerCalls;
  readonly protocol: number;
  readonly cut: OpenedCut;
  readonly from: SiteId;
  /** This site is empty and waits for it. */
  readonly joining: boolean;
  readonly signal: AbortSignal;
  /** A page came and is in order. */
  readonly onPage: (progress: PageProgress) => void;
}

export interface PageProgress {
  readonly entities: number;
  readonly bytes: number;
  readonly last: CutEntity | undefined;
  readonly to: CutPosition | undefined;
}

export class CutStream implements CutSource, AsyncDisposable {
  readonly cut: OpenedCut;
  readonly from: SiteId;
  readonly joining?: true;
  readonly #deps: CutStreamDeps;
  #pages: AsyncGenerator<CutPageCallFrame> | undefined;
  #position: CutPosition | undefined;

  constructor(deps: CutStreamDeps) {
    this.#deps = deps;
    this.cut = deps.cut;
    this.from = deps.from;
    if (deps.joining) this.joining = true;
  }

  async page(after: CutPosition | undefined, limit: CutPageLimit): Promise<CutPage> {
    if (this.#pages === undefined || this.#position !== after) await this.#open(after, limit);
    const received = await this.#pages?.next();
    if (received === undefined || received.done === true)
      throw new SkerryError('Unavailable', `${this.from} ended its snapshot before its end`);
    const { page, bytes } = received.value;
    const { vector, hlc, half = EMPTY_VECTOR } = this.cut;
    checkPage(page, bytes, { after, vector: joinVectors(vector, half), hlc });
    this.#position = page.to;
    this.#deps.onPage({ entities: page.entities.length, bytes, last: page.entities.at(-1), to: page.to });
    return page;
  }

  async #open(after: CutPosition | undefined, limit: CutPageLimit): Promise<void> {
    const { calls, protocol, cut, signal } = this.#deps;
    await this[Symbol.asyncDispose]();
    const request = { protocol, cutId: cut.cutId, ...limit, ...(after === undefined ? {} : { after }) };
    this.#pages = calls.cutPages(request, signal);
    this.#position = after;
  }

  /** Ends the call. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pages?.return(undefined);
    this.#pages = undefined;
  }
}
