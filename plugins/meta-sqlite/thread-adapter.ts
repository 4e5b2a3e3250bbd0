/**
 * A thread with a connection of its own, for what takes long: copying the log back and checking the whole file. Here is the
 * side of the caller; thread-worker-adapter.ts is what runs over there. The thread starts with the first request.
 */
import { Worker } from 'node:worker_threads';

import { SkerryError } from '../../core/contracts/index.ts';
import { toSkerryError } from './errors.ts';
import type { Options } from './options.ts';
import type { Reply, Request, Results, WorkerInput } from './thread-worker-adapter.ts';

/** `.ts` from a checkout, `.js` from a build: the worker lies next to this file under the same extension. */
const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
const WORKER = new URL(`./thread-worker-adapter${EXTENSION}`, import.meta.url);

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: SkerryError) => void;
}

export class DatabaseThread {
  readonly #input: WorkerInput;
  readonly #waiting: Waiting[] = [];
  #worker: Worker | undefined;
  #exited: Promise<void> = Promise.resolve();

  constructor(path: string, options: Options) {
    this.#input = { path, options };
  }

  /** Requests run one after another. Rejects with what SQLite reported over there, classified. */
  run<K extends keyof Results>(kind: K): Promise<Results[K]> {
    const { promise, resolve, reject } = Promise.withResolvers<Results[K]>();
    const worker = (this.#worker ??= this.#start());
    // An idle thread must not keep the process alive, one with work to do must.
    worker.ref();
    this.#waiting.push({ resolve, reject });
    worker.postMessage(kind satisfies Request);
    return promise;
  }

  /** Lets running requests finish, closes the connection over there and waits for the thread to end. */
  async stop(): Promise<void> {
    this.#worker?.ref();
    this.#worker?.postMessage('stop' satisfies Request);
    await this.#exited;
  }

  #start(): Worker {
    const worker = new Worker(WORKER, { workerData: this.#input, name: 'meta-sqlite' });
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()));
    worker.on('message', (reply: Reply) => this.#settle(worker, reply));
    worker.on('error', (error) => this.#abandon(error));
    worker.on('exit', () => {
      this.#worker = undefined;
      this.#abandon(new Error('the thread ended'));
    });
    return worker;
  }

  #settle(worker: Worker, reply: Reply): void {
    const waiting = this.#waiting.shift();
    if (this.#waiting.length === 0) worker.unref();
    if (reply.ok) waiting?.resolve(reply.result as never);
    else
      waiting?.reject(toSkerryError(Object.assign(new Error(reply.message), { errcode: reply.errcode }), reply.doing));
  }

  #abandon(error: unknown): void {
    for (const waiting of this.#waiting.splice(0)) {
      waiting.reject(new SkerryError('Unavailable', 'meta-sqlite: the maintenance thread failed', { cause: error }));
    }
  }
}
