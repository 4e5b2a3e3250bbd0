/** Bytes as they arrive, to be taken out in other lengths. Memory is at most four times what is held, however small the pieces. */

const START_BYTES = 4096;
/** An empty buffer of up to this length is kept for what comes next. */
const KEEP_MAX_BYTES = 64 * 1024;
const EMPTY = new Uint8Array(0);

export class ByteQueue {
  readonly #maxBytes: number;
  #buffer = EMPTY;
  #start = 0;
  #end = 0;

  /** No more than `maxBytes` are ever held: then no more is made room for. */
  constructor(maxBytes = Number.POSITIVE_INFINITY) {
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  append(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#buffer.length) this.#makeRoom(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** A copy of the first `length` bytes, which are held. */
  peek(length: number): Uint8Array {
    return this.#buffer.slice(this.#start, this.#start + length);
  }

  /** As `peek`, and they are gone. */
  take(length: number): Uint8Array {
    const bytes = this.peek(length);
    this.#start += length;
    if (this.length === 0) this.#reset();
    return bytes;
  }

  #makeRoom(more: number): void {
    const needed = this.length + more;
    const roomBytes = Math.min(Math.max(needed * 2, START_BYTES), Math.max(needed, this.#maxBytes));
    const target = roomBytes > this.#buffer.length ? new Uint8Array(roomBytes) : this.#buffer;
    target.set(this.#buffer.subarray(this.#start, this.#end));
    this.#end -= this.#start;
    this.#start = 0;
    this.#buffer = target;
  }

  #reset(): void {
    this.#start = 0;
    this.#end = 0;
    if (this.#buffer.length > KEEP_MAX_BYTES) this.#buffer = EMPTY;
  }
}
