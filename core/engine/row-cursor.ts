/** A range of rows read in order, some at a time, with seeking: what is passed over is not read. */
import type { MetaReader, MetaRow, MetaSpace } from '../contracts/index.ts';
import { after } from './keys.ts';

export interface RowCursorOptions {
  readonly space: MetaSpace;
  readonly from: Uint8Array;
  /** Exclusive; absent: to the end of the space. */
  readonly to: Uint8Array | undefined;
  /** Rows of the first read, 1 to 1,001. Grows while all is used, shrinks while much is passed over. */
  readonly batch: number;
}

const BATCH_MIN = 4;
const BATCH_MAX = 1001;

export class RowCursor {
  readonly #reader: Pick<MetaReader, 'scan'>;
  readonly #space: MetaSpace;
  readonly #to: Uint8Array | undefined;
  #from: Uint8Array;
  #batch: number;
  #rows: readonly MetaRow[] = [];
  #index = 0;
  #isDone: boolean;

  constructor(reader: Pick<MetaReader, 'scan'>, { space, from, to, batch }: RowCursorOptions) {
    this.#reader = reader;
    this.#space = space;
    this.#from = from;
    this.#to = to;
    this.#batch = batch;
    this.#isDone = this.#isPastEnd(from);
  }

  /** The current row, without going on; `undefined` at the end. A promise only when rows have to be read: a page has a thousand. */
  peek(): MetaRow | undefined | Promise<MetaRow | undefined> {
    return this.#index < this.#rows.length ? this.#rows[this.#index] : this.#readOn();
  }

  async #readOn(): Promise<MetaRow | undefined> {
    await this.#fill();
    return this.#rows[this.#index];
  }

  /** Passes over the current row. */
  next(): void {
    this.#index += 1;
  }

  /** Passes over all rows below `target`. */
  seek(target: Uint8Array): void {
    while (this.#index < this.#rows.length && isBelow(this.#rows[this.#index], target)) this.#index += 1;
    if (this.#index < this.#rows.length || Buffer.compare(target, this.#from) <= 0) return;
    this.#from = target;
    this.#batch = Math.max(BATCH_MIN, this.#batch >> 2);
    if (this.#isPastEnd(target)) this.#isDone = true;
  }

  async #fill(): Promise<void> {
    this.#rows = [];
    this.#index = 0;
    if (this.#isDone) return;
    const limit = this.#batch;
    const to = this.#to === undefined ? {} : { to: this.#to };
    this.#rows = await this.#reader.scan({ space: this.#space, from: this.#from, ...to, limit });
    this.#isDone = this.#rows.length < limit;
    this.#batch = Math.min(BATCH_MAX, limit * 2);
    const last = this.#rows.at(-1);
    if (last !== undefined) this.#from = after(last.key);
  }

  #isPastEnd(from: Uint8Array): boolean {
    return this.#to !== undefined && Buffer.compare(from, this.#to) >= 0;
  }
}

function isBelow(row: MetaRow | undefined, target: Uint8Array): boolean {
  return row !== undefined && Buffer.compare(row.key, target) < 0;
}
