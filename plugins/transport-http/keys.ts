/** Which key is shared with whom. */
import { SkerryError, type SiteId } from '../../core/contracts/index.ts';

export interface KeySources {
  readonly clusterKey?: string;
  /** Accepted too, and tried on peers that do not take the cluster key: while a cluster goes over to another one. */
  readonly previousClusterKeys: readonly string[];
  readonly siteKeys: Readonly<Record<string, string>>;
}

/** Shorter keys can be found by trial from one recorded request. */
const GUESSABLE_MAX_CHARACTERS = 15;

export class KeyRing {
  readonly #clusterKeys: readonly string[];
  readonly #siteKeys: ReadonlyMap<string, string>;
  /** Which of the accepted keys a site takes, where it is not the first. */
  readonly #taken = new Map<SiteId, number>();

  constructor({ clusterKey, previousClusterKeys, siteKeys }: KeySources) {
    this.#clusterKeys = clusterKey === undefined ? [] : [clusterKey, ...previousClusterKeys];
    this.#siteKeys = new Map(Object.entries(siteKeys));
  }

  /** What a site may sign with. A key of its own comes in place of the cluster's. */
  accepted(site: SiteId): readonly string[] {
    const own = this.#siteKeys.get(site);
    return own === undefined ? this.#clusterKeys : [own];
  }

  get isEmpty(): boolean {
    return this.#clusterKeys.length === 0 && this.#siteKeys.size === 0;
  }

  get hasGuessable(): boolean {
    return [...this.#siteKeys.values(), ...this.#clusterKeys].some((key) => key.length <= GUESSABLE_MAX_CHARACTERS);
  }

  /** To sign a call to this site with. */
  require(site: SiteId): string {
    const keys = this.accepted(site);
    const key = keys[(this.#taken.get(site) ?? 0) % keys.length];
    if (key === undefined) throw new SkerryError('Unauthenticated', `no key is shared with site ${site}`);
    return key;
  }

  /** The site did not take a call that was signed with this key: the next one is signed with another, if there is one. */
  refused(site: SiteId, key: string): void {
    const at = this.accepted(site).indexOf(key);
    if (at >= 0 && this.require(site) === key) this.#taken.set(site, at + 1);
  }
}
