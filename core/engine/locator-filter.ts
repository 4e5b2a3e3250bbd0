/**
 * A set of locators in bounded memory (Bloom, "Space/Time Trade-offs in Hash Coding with Allowable Errors", 1970): 4 MiB for
 * each million. It never denies what was added; of what was not it claims about one in a million, others at each salt.
 */
import type { Locator } from '../contracts/index.ts';

/** 4 MiB; 12 bits of 32 for each locator are set, so that at most a third of all are. */
const FILTER_BITS = 2 ** 25;
const FILTER_MAX = 2 ** 20;
const HASHES = 12;

export class LocatorFilter {
  readonly #salt: number;
  readonly #filters: Uint32Array[] = [];
  #count = 0;

  /** `salt`: 32 bits, of a new one each time what was claimed wrongly before is not claimed again. */
  constructor(salt: number) {
    this.#salt = salt;
  }

  add(locator: Locator): void {
    if (this.#count++ % FILTER_MAX === 0) this.#filters.push(new Uint32Array(FILTER_BITS / 32));
    const filter = this.#filters.at(-1) as Uint32Array;
    const [first, step] = this.#hash(locator);
    for (let at = 0; at < HASHES; at++) {
      const bit = bitOf(first, step, at);
      filter[bit >>> 5] = (filter[bit >>> 5] ?? 0) | (1 << (bit & 31));
    }
  }

  has(locator: Locator): boolean {
    const [first, step] = this.#hash(locator);
    return this.#filters.some((filter) => {
      for (let at = 0; at < HASHES; at++) {
        const bit = bitOf(first, step, at);
        if (((filter[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) return false;
      }
      return true;
    });
  }

  /** Two hashes stand for any number (Kirsch and Mitzenmacher, "Less Hashing, Same Performance", 2006). */
  #hash(locator: Locator): readonly [number, number] {
    let [a, b] = [this.#salt ^ 0x9e3779b9, Math.imul(this.#salt, 0x85ebca6b) ^ 0xc2b2ae35];
    for (let at = 0; at < locator.length; at++) {
      const code = locator.charCodeAt(at);
      a = Math.imul(a ^ code, 0x01000193);
      b = Math.imul(b ^ code ^ (b >>> 15), 0x2c1b3c6d);
    }
    a = Math.imul(a ^ (a >>> 16), 0x21f0aaad);
    b = Math.imul(b ^ (b >>> 15), 0x735a2d97);
    return [(a ^ (a >>> 15)) >>> 0, ((b ^ (b >>> 13)) | 1) >>> 0];
  }
}

const bitOf = (first: number, step: number, at: number): number => (first + Math.imul(step, at)) & (FILTER_BITS - 1);
