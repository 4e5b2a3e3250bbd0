/** What a site's data directory says of who it is: it outlives boots, and a wipe makes another. */
import type { Incarnation, SiteId } from '../../core/contracts/index.ts';
import { originOf } from '../../core/engine/stamp.ts';
import type { DataDirectory, MissingPast } from '../../core/kernel/data-directory.ts';
import type { Lane } from './lane.ts';
import { Draw } from './random.ts';

/** How long writing it down takes. */
const WRITE_MS = { beforeMs: 0.5, afterMs: 0.5 };

export class SimIdentity {
  readonly #seed: number;
  readonly #site: SiteId;
  /** Of the incarnations that are made here. */
  readonly #stream: string;
  #incarnations = 0;
  #incarnation: Incarnation = '';
  #missing: MissingPast = {};

  constructor(seed: number, site: SiteId, stream: string = site) {
    this.#seed = seed;
    this.#site = site;
    this.#stream = stream;
    this.#mint();
  }

  get incarnation(): Incarnation {
    return this.#incarnation;
  }

  /** Everything is gone, this too. */
  forget(): void {
    this.#mint();
    this.#missing = {};
  }

  /** The directory is found to be a copy at the next start: another origin, whose past may be elsewhere. */
  copied(): void {
    this.#missing = { ...this.#missing, [originOf(this.#site, this.#incarnation)]: null };
    this.#mint();
  }

  /** What a copy of the directory says, that lives beside this one. */
  clone(stream: string): SimIdentity {
    const clone = new SimIdentity(this.#seed, this.#site, stream);
    clone.#incarnation = this.#incarnation;
    clone.#missing = this.#missing;
    return clone;
  }

  /** What a backup has of it; call the result to put that back. */
  saved(): () => void {
    const [incarnation, missing] = [this.#incarnation, this.#missing];
    return () => {
      this.#incarnation = incarnation;
      this.#missing = missing;
    };
  }

  /** For one boot. */
  directory(lane: Lane): DataDirectory {
    const write = (change: () => void): Promise<void> =>
      lane.io('identity', WRITE_MS, async () => {
        change();
      });
    const now = (): SimIdentity => this;
    return {
      path: 'data',
      site: this.#site,
      masterKey: new Uint8Array(32),
      isCopy: false,
      get incarnation() {
        return now().#incarnation;
      },
      get missing() {
        return now().#missing;
      },
      renew: (knownSeq, also) =>
        write(() => {
          if (knownSeq !== undefined)
            this.#missing = { ...this.#missing, [originOf(this.#site, this.#incarnation)]: knownSeq, ...also };
          this.#mint();
        }),
      setMissing: (missing) => write(() => void (this.#missing = missing)),
      release: () => {},
    };
  }

  #mint(): void {
    this.#incarnations++;
    const draw = new Draw(this.#seed, `${this.#stream} incarnation ${this.#incarnations}`);
    this.#incarnation = Buffer.from(draw.bytes(8)).toString('hex');
  }
}
