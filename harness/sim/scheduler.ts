/**
 * Discrete events on a virtual clock. Events of one moment run in an order drawn from the seed, not in the order in which they
 * were made; between two events all promise jobs run out, so that a run depends on its seed alone.
 */
import { rnd } from './random.ts';
import type { Trace } from './trace.ts';

export interface ScheduledEvent {
  /** Idempotent. After it returns the event does not run. */
  cancel(): void;
}

interface Pending {
  readonly atMs: number;
  /** Decides among events of one moment. */
  readonly order: number;
  readonly sequence: number;
  readonly label: string;
  readonly run: () => void | Promise<void>;
  cancelled: boolean;
}

const before = (a: Pending, b: Pending): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && (a.order < b.order || (a.order === b.order && a.sequence < b.sequence)));

/**
 * Promise jobs and what they lead to. A tick runs when no promise job is left and costs little; a turn of the event loop also lets
 * the runtime report rejections that nobody handled, so there is one every so many events, and in some seeds after every one.
 */
const drainJobs = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const TURN_EVERY = 32;
const TURNS_IN_ONE_SEED_OF = 8;

export class Scheduler {
  readonly #seed: number;
  readonly #trace: Trace;
  readonly #heap: Pending[] = [];
  readonly #labels = new Map<string, number>();
  readonly #turnEvery: number;
  #nowMs = 0;
  #count = 0;
  #made = 0;

  constructor(seed: number, trace: Trace) {
    this.#seed = seed;
    this.#trace = trace;
    this.#turnEvery = seed % TURNS_IN_ONE_SEED_OF === 0 ? 1 : TURN_EVERY;
  }

  /** Virtual milliseconds since the run began; microsecond steps. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events that ran. */
  get count(): number {
    return this.#count;
  }

  /** Runs `run` in `delayMs`. A promise that it returns is awaited while virtual time stands still. */
  after(delayMs: number, label: string, run: () => void | Promise<void>): ScheduledEvent {
    const nth = (this.#labels.get(label) ?? 0) + 1;
    this.#labels.set(label, nth);
    // never early: who waits for a deadline would find that it is not there yet, and wait for nothing for ever
    const atMs = Math.ceil((this.#nowMs + Math.max(0, delayMs)) * 1000) / 1000;
    const event: Pending = {
      atMs,
      order: rnd(this.#seed, 'order', `${label}#${nth}`),
      sequence: this.#made++,
      label,
      run,
      cancelled: false,
    };
    this.#push(event);
    return { cancel: () => void (event.cancelled = true) };
  }

  /** Runs events up to and at `untilMs`, or until `stop` says so. */
  async run(untilMs: number, stop: () => boolean = () => false): Promise<void> {
    // what was begun between two runs has events to make first
    await turn();
    while (!stop()) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return;
      }
      this.#pop();
      if (next.cancelled) continue;
      this.#nowMs = next.atMs;
      this.#count++;
      this.#trace.line(`${next.atMs} ${next.label}`);
      await next.run();
      await (this.#count % this.#turnEvery === 0 ? turn() : drainJobs());
    }
  }

  #push(event: Pending): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!before(event, heap[parent] as Pending)) break;
      heap[at] = heap[parent] as Pending;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Pending;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      let least = left;
      if (right < heap.length && before(heap[right] as Pending, heap[left] as Pending)) least = right;
      if (least >= heap.length || !before(heap[least] as Pending, last)) break;
      heap[at] = heap[least] as Pending;
      at = least;
    }
    heap[at] = last;
  }
}
