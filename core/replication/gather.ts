/**
 * Pages that come while one is applied are applied together. Each costs a durable transaction, and a peer sends what is new as it
 * comes: taken one by one, small pages would queue up in the transport, and the live stream would be late by all of them.
 */
import type { OpsCallFrame } from './calls.ts';

export interface GatherLimits {
  /** Ops of pages that are joined. */
  readonly maxOps: number;
  /** Bytes that wait, roughly: beyond them nothing more is read. */
  readonly maxBytes: number;
}

/** The frames of a call, in order; adjacent pages may come as one. Rejects as the call does, behind what came before. */
export async function* gathered(
  open: (signal: AbortSignal) => AsyncIterable<OpsCallFrame>,
  limits: GatherLimits,
  outer: AbortSignal,
): AsyncGenerator<OpsCallFrame> {
  const stop = new AbortController();
  const onOuter = (): void => stop.abort();
  if (outer.aborted) stop.abort();
  outer.addEventListener('abort', onOuter, { once: true });
  const ahead = new Ahead(limits);
  const reading = ahead.read(open(stop.signal));
  reading.catch(() => undefined); // awaited below
  try {
    for (let frame = await ahead.take(); frame !== undefined; frame = await ahead.take()) yield frame;
    await reading;
  } finally {
    outer.removeEventListener('abort', onOuter);
    stop.abort();
    ahead.close();
    await reading.catch(() => undefined); // who stopped it does not need to hear that it was stopped
  }
}

/** What was read and not yet taken. */
class Ahead {
  readonly #limits: GatherLimits;
  readonly #frames: OpsCallFrame[] = [];
  #bytes = 0;
  #isOver = false;
  #came = Promise.withResolvers<void>();
  #went = Promise.withResolvers<void>();

  constructor(limits: GatherLimits) {
    this.#limits = limits;
  }

  async read(source: AsyncIterable<OpsCallFrame>): Promise<void> {
    try {
      for await (const frame of source) {
        this.#frames.push(frame);
        this.#bytes += frame.bytes;
        this.#came.resolve();
        while (this.#bytes >= this.#limits.maxBytes && !this.#isOver) {
          this.#went = Promise.withResolvers();
          await this.#went.promise;
        }
      }
    } finally {
      this.close();
    }
  }

  /** `undefined` when all was taken and nothing more comes. */
  async take(): Promise<OpsCallFrame | undefined> {
    while (this.#frames.length === 0 && !this.#isOver) {
      this.#came = Promise.withResolvers();
      await this.#came.promise;
    }
    const first = this.#frames.shift();
    const taken = first && this.#joined(first);
    this.#bytes -= taken?.bytes ?? 0;
    this.#went.resolve();
    return taken;
  }

  close(): void {
    this.#isOver = true;
    this.#came.resolve();
    this.#went.resolve();
  }

  #joined(first: OpsCallFrame): OpsCallFrame {
    if (first.frame.kind !== 'page') return first;
    const ops = [...first.frame.ops];
    let { bytes } = first;
    for (let next = this.#frames[0]; next?.frame.kind === 'page'; next = this.#frames[0]) {
      if (ops.length + next.frame.ops.length > this.#limits.maxOps) break;
      ops.push(...next.frame.ops);
      bytes += next.bytes;
      this.#frames.shift();
    }
    return { frame: { kind: 'page', ops }, bytes };
  }
}
