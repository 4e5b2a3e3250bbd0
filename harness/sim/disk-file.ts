/** One file of the simulated disk: what readers see, what would survive a crash, and the writes in between. */

/** The unit that a disk writes whole or not at all. */
const SECTOR_BYTES = 512;

class Bytes {
  #buffer = new Uint8Array(0);
  length = 0;

  write(data: Uint8Array, position: number): void {
    const end = position + data.length;
    if (end > this.#buffer.length) this.#grow(end);
    this.#buffer.set(data, position);
    this.length = Math.max(this.length, end);
  }

  truncate(length: number): void {
    if (length > this.#buffer.length) this.#grow(length);
    if (length < this.length) this.#buffer.fill(0, length, this.length);
    this.length = length;
  }

  view(position = 0, length = Infinity): Uint8Array {
    return this.#buffer.subarray(Math.min(position, this.length), Math.min(position + length, this.length));
  }

  #grow(length: number): void {
    const grown = new Uint8Array(Math.max(length, 2 * this.#buffer.length));
    grown.set(this.view());
    this.#buffer = grown;
  }
}

type Change =
  | { readonly type: 'write'; readonly data: Uint8Array; readonly position: number }
  | { readonly type: 'truncate'; readonly length: number };

function apply(bytes: Bytes, change: Change): void {
  if (change.type === 'write') bytes.write(change.data, change.position);
  else bytes.truncate(change.length);
}

function sectorsOf(change: Change): Change[] {
  if (change.type === 'truncate') return [change];
  const pieces: Change[] = [];
  let at = 0;
  while (at < change.data.length) {
    const position = change.position + at;
    const take = SECTOR_BYTES - (position % SECTOR_BYTES);
    pieces.push({ type: 'write', data: change.data.subarray(at, at + take), position });
    at += take;
  }
  return pieces;
}

export class DiskFile {
  modifiedAtMs = 0;
  #current = new Bytes();
  #durable = new Bytes();
  #pending: Change[] = [];

  get size(): number {
    return this.#current.length;
  }

  read(position: number, length: number): Uint8Array {
    return this.#current.view(position, length);
  }

  /** Copies `data`. */
  write(data: Uint8Array, position: number): void {
    const change: Change = { type: 'write', data: data.slice(), position };
    this.#pending.push(change);
    apply(this.#current, change);
  }

  truncate(length: number): void {
    const change: Change = { type: 'truncate', length };
    this.#pending.push(change);
    apply(this.#current, change);
  }

  /** What a snapshot of the disk has of it. */
  durableCopy(): DiskFile {
    const copy = new DiskFile();
    copy.modifiedAtMs = this.modifiedAtMs;
    for (const bytes of [copy.#current, copy.#durable]) bytes.write(this.#durable.view(), 0);
    return copy;
  }

  sync(): void {
    for (const change of this.#pending) apply(this.#durable, change);
    this.#pending = [];
  }

  /** What a kernel does when writing back fails: the pages count as clean, so no later sync writes them either. */
  failSync(): void {
    this.#pending = [];
  }

  /** Back to what is durable, plus each unsynced sector that `survives` lets through: a disk writes in any order. */
  crash(survives: () => boolean): void {
    for (const change of this.#pending.flatMap(sectorsOf)) if (survives()) apply(this.#durable, change);
    this.#pending = [];
    const after = new Bytes();
    after.write(this.#durable.view(), 0);
    this.#current = after;
  }

  /** Damage at rest: flips bits where readers and restarts see it. */
  flip(position: number, mask: number): void {
    for (const bytes of [this.#current, this.#durable]) {
      const view = bytes.view(position, 1);
      if (view.length === 1) view[0] = (view[0] ?? 0) ^ mask;
    }
  }
}
