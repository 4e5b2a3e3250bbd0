/**
 * An ordered map from byte keys to byte values in sorted blocks, with snapshots by copy-on-write.
 *
 * Keys are kept as strings of one code unit a byte (Latin-1): comparing those by code unit is comparing the bytes, they take
 * a byte a character, and they are nobody's buffer. Blocks hold up to 512 entries and a directory lists them in order, so a
 * lookup is two binary searches and an insert moves a few kilobytes at most, also with millions of keys.
 *
 * A snapshot shares everything. Whatever it shares carries an older generation than the map's own, and is copied before the
 * map changes it: the directory once (8 bytes a block), a block when it is written to.
 */

/** Splits in half above this; 512 keeps both the directory and a block's moves small up to tens of millions of keys. */
const BLOCK_MAX_ENTRIES = 512;

interface Block {
  readonly generation: number;
  readonly keys: string[];
  readonly values: Uint8Array[];
}

export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
}

export interface Bounds {
  /** Inclusive. */
  readonly from?: string | undefined;
  /** Exclusive. */
  readonly to?: string | undefined;
}

/** A cut that never changes. Values are the map's own arrays: copy before handing them out. */
export interface SortedView {
  get(key: string): Uint8Array | undefined;
  scan(bounds: Bounds, limit: number, reverse: boolean): Entry[];
}

export class SortedMap implements SortedView {
  #blocks: Block[];
  #size = 0;
  /** Rises with every snapshot; what was made before is shared. */
  #generation = 0;
  #directoryGeneration = 0;

  constructor(blocks: Block[] = []) {
    this.#blocks = blocks;
  }

  get size(): number {
    return this.#size;
  }

  get(key: string): Uint8Array | undefined {
    const block = this.#blocks[this.#blockOf(key)];
    if (block === undefined) return undefined;
    const index = lowerBound(block.keys, key);
    return block.keys[index] === key ? block.values[index] : undefined;
  }

  scan(bounds: Bounds, limit: number, reverse: boolean): Entry[] {
    const entries: Entry[] = [];
    if (bounds.from !== undefined && bounds.to !== undefined && bounds.from >= bounds.to) return entries;
    if (reverse) this.#scanDown(bounds, limit, entries);
    else this.#scanUp(bounds, limit, entries);
    return entries;
  }

  /** Keeps `value` itself. */
  set(key: string, value: Uint8Array): void {
    if (this.#blocks.length === 0) {
      this.#ownDirectory().push({ generation: this.#generation, keys: [key], values: [value] });
      this.#size = 1;
      return;
    }
    const at = this.#blockOf(key);
    const block = this.#ownBlock(at);
    const index = lowerBound(block.keys, key);
    if (block.keys[index] === key) {
      block.values[index] = value;
      return;
    }
    block.keys.splice(index, 0, key);
    block.values.splice(index, 0, value);
    this.#size++;
    if (block.keys.length > BLOCK_MAX_ENTRIES) this.#split(at, block, index);
  }

  delete(key: string): void {
    const at = this.#blockOf(key);
    const found = this.#blocks[at];
    const index = found === undefined ? 0 : lowerBound(found.keys, key);
    if (found?.keys[index] !== key) return;
    this.#size--;
    if (found.keys.length === 1) {
      this.#ownDirectory().splice(at, 1);
      return;
    }
    const block = this.#ownBlock(at);
    block.keys.splice(index, 1);
    block.values.splice(index, 1);
    this.#mergeWithNext(at, block);
  }

  snapshot(): SortedView {
    this.#generation++;
    return new SortedMap(this.#blocks);
  }

  /** Breaches of the order that everything here relies on; one sentence each. */
  problems(): string[] {
    const problems: string[] = [];
    let last: string | undefined;
    let count = 0;
    for (const block of this.#blocks) {
      if (block.keys.length === 0 || block.keys.length !== block.values.length) problems.push('a block is malformed');
      for (const key of block.keys) {
        if (last !== undefined && key <= last) problems.push('keys are out of order');
        last = key;
        count++;
      }
    }
    if (count !== this.#size) problems.push(`${count} keys are there and ${this.#size} were counted`);
    return problems;
  }

  #scanUp({ from, to }: Bounds, limit: number, entries: Entry[]): void {
    const first = from === undefined ? 0 : this.#blockOf(from);
    for (let at = first; at < this.#blocks.length; at++) {
      const { keys, values } = this.#blocks[at] as Block;
      for (let index = at === first && from !== undefined ? lowerBound(keys, from) : 0; index < keys.length; index++) {
        const key = keys[index] as string;
        if ((to !== undefined && key >= to) || entries.length === limit) return;
        entries.push({ key, value: values[index] as Uint8Array });
      }
    }
  }

  #scanDown({ from, to }: Bounds, limit: number, entries: Entry[]): void {
    const first = to === undefined ? this.#blocks.length - 1 : this.#blockOf(to);
    for (let at = first; at >= 0; at--) {
      const block = this.#blocks[at];
      if (block === undefined) return;
      const { keys, values } = block;
      const end = at === first && to !== undefined ? lowerBound(keys, to) : keys.length;
      for (let index = end - 1; index >= 0; index--) {
        const key = keys[index] as string;
        if ((from !== undefined && key < from) || entries.length === limit) return;
        entries.push({ key, value: values[index] as Uint8Array });
      }
    }
  }

  /** Index of the block that holds `key` or would: the last whose first key is not above it. 0 when there is none. */
  #blockOf(key: string): number {
    let low = 0;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#blocks[middle]?.keys[0] as string) <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #ownDirectory(): Block[] {
    if (this.#directoryGeneration !== this.#generation) {
      this.#blocks = this.#blocks.slice();
      this.#directoryGeneration = this.#generation;
    }
    return this.#blocks;
  }

  #ownBlock(at: number): Block {
    const block = this.#blocks[at] as Block;
    if (block.generation === this.#generation) return block;
    const own = { generation: this.#generation, keys: block.keys.slice(), values: block.values.slice() };
    this.#ownDirectory()[at] = own;
    return own;
  }

  /** In half; but keys that come in rising order leave full blocks behind. */
  #split(at: number, block: Block, insertedAt: number): void {
    const from = insertedAt === block.keys.length - 1 ? insertedAt : block.keys.length >>> 1;
    const keys = block.keys.splice(from);
    const values = block.values.splice(from);
    this.#ownDirectory().splice(at + 1, 0, { generation: this.#generation, keys, values });
  }

  /** So that deleting most of the keys gives the memory back. */
  #mergeWithNext(at: number, block: Block): void {
    const next = this.#blocks[at + 1];
    if (next === undefined || block.keys.length + next.keys.length > BLOCK_MAX_ENTRIES / 2) return;
    block.keys.push(...next.keys);
    block.values.push(...next.values);
    this.#ownDirectory().splice(at + 1, 1);
  }
}

/** Index of the first key that is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
