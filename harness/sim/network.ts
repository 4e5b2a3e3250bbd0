/**
 * The network between simulated sites: who answers where, which links are cut, and what happens to each message. A message's
 * fate depends on the seed and its identity (link, call, count), so that dropping one does not change another's.
 */
import { SkerryError, type PeerAddress, type PeerIdentity, type ServeCall } from '../../core/contracts/index.ts';
import type { Lane } from './lane.ts';
import { rnd } from './random.ts';

/** As the transport's contract says. */
export const FRAME_MAX_BYTES = 16 * 1024 * 1024;

/** How a link behaves; rates are per message. */
export interface LinkQuality {
  readonly delayMs: number;
  readonly jitterMs: number;
  /** The caller hears nothing and gives up. */
  readonly drop: number;
  /** The request arrives a second time, up to `replayMs` later; that answer goes nowhere. */
  readonly duplicate: number;
  readonly replayMs: number;
  /** The stream breaks behind one of its first frames. */
  readonly cutShort: number;
  /** A frame arrives with its last byte changed. */
  readonly corrupt: number;
}

export const CALM_LINK: LinkQuality = {
  delayMs: 1,
  jitterMs: 1,
  drop: 0,
  duplicate: 0,
  replayMs: 0,
  cutShort: 0,
  corrupt: 0,
};

export interface Endpoint {
  readonly lane: Lane;
  readonly self: PeerIdentity;
  readonly serve: ServeCall;
}

/** What happens to one request and to the frames of its answer. */
export interface Fate {
  readonly dropped: boolean;
  readonly requestMs: number;
  /** When a second copy arrives, if one does. */
  readonly replayMs: number | undefined;
  /** Frames that arrive before the stream breaks; absent: it does not break. */
  readonly framesBeforeBreak: number | undefined;
}

export class Network {
  readonly #seed: number;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #cuts = new Map<string, number>();
  readonly #qualities = new Map<string, LinkQuality>();
  readonly #counts = new Map<string, number>();
  /** Told when a link is cut, with the two host names. */
  readonly onCut = new Set<(from: string, to: string) => void>();
  /** Messages by what became of them. */
  readonly met = { delivered: 0, dropped: 0, replayed: 0, brokenStreams: 0, cut: 0, corrupted: 0 };

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** One address a host; the host of a clone is not that of its original. */
  static urlOf(host: string): string {
    return `sim://${host}`;
  }

  listen(host: string, endpoint: Endpoint): string {
    const known = this.#endpoints.get(host);
    if (known?.lane.alive === true) throw new SkerryError('AlreadyExists', `${host} is answered already`);
    this.#endpoints.set(host, endpoint);
    return Network.urlOf(host);
  }

  close(host: string, endpoint: Endpoint): void {
    if (this.#endpoints.get(host) === endpoint) this.#endpoints.delete(host);
  }

  hostOf({ url }: PeerAddress): string {
    return url.slice('sim://'.length);
  }

  endpoint(host: string): Endpoint | undefined {
    const endpoint = this.#endpoints.get(host);
    return endpoint?.lane.alive === true ? endpoint : undefined;
  }

  /** One direction. Cuts nest: as many `heal` as `cut`. */
  cut(from: string, to: string): void {
    const link = `${from}>${to}`;
    this.#cuts.set(link, (this.#cuts.get(link) ?? 0) + 1);
    for (const listener of this.onCut) listener(from, to);
  }

  heal(from: string, to: string): void {
    const link = `${from}>${to}`;
    this.#cuts.set(link, Math.max(0, (this.#cuts.get(link) ?? 0) - 1));
  }

  isCut(from: string, to: string): boolean {
    return (this.#cuts.get(`${from}>${to}`) ?? 0) > 0;
  }

  setQuality(from: string, to: string, quality: LinkQuality): void {
    this.#qualities.set(`${from}>${to}`, quality);
  }

  healAll(): void {
    this.#cuts.clear();
    this.#qualities.clear();
  }

  /** The identity of the next message of a kind on a link. */
  nextIdentity(from: string, to: string, call: string): string {
    const kind = `${from}>${to}/${call}`;
    const nth = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, nth);
    return `${kind}#${nth}`;
  }

  fateOf(identity: string, from: string, to: string): Fate {
    const quality = this.#qualityOf(from, to);
    const draw = (what: string): number => rnd(this.#seed, `fate-${what}`, identity);
    return {
      dropped: draw('drop') < quality.drop,
      requestMs: this.delayMs(`${identity}?`, from, to),
      replayMs: draw('duplicate') < quality.duplicate ? draw('replay') * quality.replayMs : undefined,
      framesBeforeBreak: draw('break') < quality.cutShort ? Math.floor(draw('frames') * 4) : undefined,
    };
  }

  /** The frame as it arrives. */
  arriving(frame: Uint8Array, identity: string, from: string, to: string): Uint8Array {
    const { corrupt } = this.#qualityOf(from, to);
    const last = frame.length - 1;
    if (last < 0 || rnd(this.#seed, 'fate-corrupt', identity) >= corrupt) return frame;
    this.met.corrupted++;
    const damaged = new Uint8Array(frame);
    damaged[last] = (damaged[last] ?? 0) ^ 1;
    return damaged;
  }

  delayMs(identity: string, from: string, to: string): number {
    const { delayMs, jitterMs } = this.#qualityOf(from, to);
    return delayMs + jitterMs * rnd(this.#seed, 'delay', identity);
  }

  #qualityOf(from: string, to: string): LinkQuality {
    return this.#qualities.get(`${from}>${to}`) ?? CALM_LINK;
  }
}
