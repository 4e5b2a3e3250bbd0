/** Which key is shared with whom. */
import { SkerryError, type SiteId } from '../../core/contracts/index.ts';

export interface KeySources {
  readonly clusterKey?: string;
  readonly siteKeys: Readonly<Record<string, string>>;
}

/** Shorter keys can be found by trial from one recorded request. */
const GUESSABLE_MAX_CHARACTERS = 15;

export class KeyRing {
  readonly #clusterKey: string | undefined;
  readonly #siteKeys: ReadonlyMap<string, string>;

  constructor({ clusterKey, siteKeys }: KeySources) {
    this.#clusterKey = clusterKey;
    this.#siteKeys = new Map(Object.entries(siteKeys));
  }

  /** A key of its own comes before the cluster key and in place of it. */
  of(site: SiteId): string | undefined {
    return this.#siteKeys.get(site) ?? this.#clusterKey;
  }

  get isEmpty(): boolean {
    return this.#clusterKey === undefined && this.#siteKeys.size === 0;
  }

  get hasGuessable(): boolean {
    const keys = [...this.#siteKeys.values(), ...(this.#clusterKey === undefined ? [] : [this.#clusterKey])];
    return keys.some((key) => key.length <= GUESSABLE_MAX_CHARACTERS);
  }

  require(site: SiteId): string {
    const key = this.of(site);
    if (key === undefined) throw new SkerryError('Unauthenticated', `no key is shared with site ${site}`);
    return key;
  }
}
