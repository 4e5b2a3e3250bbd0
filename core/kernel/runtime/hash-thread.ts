/** One hash worker thread as the main thread sees it. */
import { Worker } from 'node:worker_threads';
import { SkerryError } from '../../contracts/index.ts';
import type { HashMessage, HashReply } from './hash-worker.ts';

/** `hash-worker.ts` in a checkout, `hash-worker.js` in a build. */
const WORKER_URL = new URL(`./hash-worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url);

interface Waiting {
  readonly resolve: (reply: HashReply) => void;
  readonly reject: (error: SkerryError) => void;
}

export class HashThread {
  /** Sum of the costs of the lanes that live here; the pool's measure for placing the next one. */
  load = 0;
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  readonly #onDeath: (thread: HashThread) => void;
  #death: SkerryError | undefined;

  constructor(shared: SharedArrayBuffer, onDeath: (thread: HashThread) => void) {
    this.#onDeath = onDeath;
    // no execArgv: flags such as --input-type that fit the main program make a thread fail
    // its messages are short-lived and tiny
    const resourceLimits = { maxYoungGenerationSizeMb: 2 };
    this.#worker = new Worker(WORKER_URL, { workerData: shared, name: 'skerry-hash', execArgv: [], resourceLimits });
    this.#worker.unref();
    this.#worker.on('message', (reply: HashReply) => this.#settle(reply));
    this.#worker.on('error', (cause) => this.#die(new SkerryError('Unavailable', 'a hash worker failed', { cause })));
    this.#worker.on('exit', () => this.#die(new SkerryError('Unavailable', 'a hash worker exited')));
  }

  /** Resolves with the worker's answer; rejects `Unavailable` when the thread dies first, `Closed` after `close`. */
  ask(message: Exclude<HashMessage, { readonly op: 'abandon' }>): Promise<HashReply> {
    if (this.#death !== undefined) return Promise.reject(this.#death);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      // only a thread that owes an answer may keep the process alive
      if (this.#waiting.length === 1) this.#worker.ref();
      this.#worker.postMessage(message);
    });
  }

  abandon(lane: number): void {
    if (this.#death === undefined) this.#worker.postMessage({ op: 'abandon', lane } satisfies HashMessage);
  }

  async close(): Promise<void> {
    this.#die(new SkerryError('Closed', 'the hash workers are closed'));
    await this.#worker.terminate();
  }

  #settle(reply: HashReply): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) return;
    if (this.#waiting.length === 0) this.#worker.unref();
    waiting.resolve(reply);
  }

  #die(death: SkerryError): void {
    if (this.#death !== undefined) return;
    this.#death = death;
    this.#worker.unref();
    this.#onDeath(this);
    for (const waiting of this.#waiting.splice(0)) waiting.reject(death);
  }
}
