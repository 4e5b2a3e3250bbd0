/**
 * Causal reads (rule 18). A token is the vector of the site that answered a write. A site answers a request that brings one only
 * from a state that covers it; a state counts when what readers see of it does too: a version whose bytes have not arrived
 * is recorded and not shown (rule 13), and showing the one before would be stale.
 */
import {
  SkerryError,
  type CausalScope,
  type ConflictService,
  type MetaReader,
  type Timers,
  type Clock,
  type VersionVector,
} from '../contracts/index.ts';
import { readVector } from './clock-row.ts';
import { fetchPrefix, headKey, tupleRange } from './keys.ts';
import { decodeRecord, isHidden, type HeadRecord } from './records.ts';
import { RowCursor } from './row-cursor.ts';
import { isOrigin } from './stamp.ts';
import { coversVector } from './vector.ts';
import { causalityToken } from './versions.ts';

const DEFAULT_TIMEOUT_MS = 5000;
/** How often a waiter looks although nothing woke it: another process of the site may have committed. */
const POLL_MS = 250;
/** More origins than any fleet has; a header has room for a few hundred. */
const ORIGINS_MAX = 4096;

export interface CausalityDeps {
  readonly reader: MetaReader;
  readonly timers: Timers;
  readonly clock: Clock;
}

export interface Causality extends Pick<ConflictService, 'causality' | 'waitFor'> {
  /** Something was committed: whoever waits looks again. */
  wake(): void;
  /** Whoever waits is refused. */
  close(): void;
}

export function createCausality(deps: CausalityDeps): Causality {
  const waiters = new Set<() => void>();
  let closed = false;
  const wake = (): void => {
    for (const waiter of waiters) waiter();
  };

  /** Until something is committed, or for a while. */
  async function pause(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve: settle } = Promise.withResolvers<void>();
    const resolve = (): void => settle();
    const timer = deps.timers.after(delayMs, resolve);
    waiters.add(resolve);
    signal?.addEventListener('abort', resolve);
    await promise;
    signal?.removeEventListener('abort', resolve);
    waiters.delete(resolve);
    timer.cancel();
  }

  return {
    wake,
    close() {
      closed = true;
      wake();
    },
    causality: async () => causalityToken(await readVector(deps.reader)),
    async waitFor(token, scope = {}, { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = {}) {
      const wanted = parseToken(token);
      const deadlineMs = deps.clock.monotonicMs() + timeoutMs;
      const progress: Progress = { from: fetchPrefix() };
      for (;;) {
        if (closed) throw new SkerryError('Closed', 'the engine is closed');
        if (signal?.aborted) throw new SkerryError('Aborted', 'the caller went away');
        const lacks = await lacking(deps.reader, wanted, scope, progress);
        if (lacks === undefined) return;
        const leftMs = deadlineMs - deps.clock.monotonicMs();
        if (leftMs <= 0) throw notHere(lacks, timeoutMs);
        await pause(Math.min(POLL_MS, leftMs), signal);
      }
    },
  };
}

/** The vector of a token. Anything that no site would make is refused. */
export function parseToken(token: string): VersionVector {
  const vector = parseJson(Buffer.from(token, 'base64url').toString('utf8'));
  if (typeof vector !== 'object' || vector === null || Array.isArray(vector)) throw badToken();
  const entries = Object.entries(vector as Readonly<Record<string, unknown>>);
  const isVector = entries.every(([origin, seq]) => isOrigin(origin) && Number.isSafeInteger(seq) && Number(seq) > 0);
  if (!isVector || entries.length > ORIGINS_MAX) throw badToken();
  return vector as VersionVector;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw badToken(error);
  }
}

const badToken = (cause?: unknown): SkerryError =>
  new SkerryError('InvalidArgument', 'this is no causality token: send back what a site answered', { cause });

type Lack = { readonly what: 'ops'; readonly origins: readonly string[] } | { readonly what: 'bytes' };

/**
 * How far one waiter has looked through the versions whose bytes are missing: all that it waits for is in the list once the site has
 * the ops, so that what was passed over needs no second look.
 */
interface Progress {
  from: Uint8Array;
}

async function lacking(
  reader: MetaReader,
  wanted: VersionVector,
  scope: CausalScope,
  progress: Progress,
): Promise<Lack | undefined> {
  const vector = await readVector(reader);
  if (!coversVector(vector, wanted)) {
    const origins = Object.keys(wanted).filter((origin) => (vector[origin] ?? 0) < (wanted[origin] ?? 0));
    return { what: 'ops', origins };
  }
  return (await hasPending(reader, scope, progress)) ? { what: 'bytes' } : undefined;
}

/** Whether readers of the scope are shown something older than what is recorded. */
async function hasPending(
  reader: MetaReader,
  { bucket, key, prefix }: CausalScope,
  progress: Progress,
): Promise<boolean> {
  if (bucket === undefined) return false;
  if (key !== undefined) return isPending(reader, bucket, key);
  if (prefix === undefined) return false;
  const { to } = tupleRange(fetchPrefix());
  const cursor = new RowCursor(reader, { space: 'queues', from: progress.from, to, batch: 100 });
  for (let row = await cursor.peek(); row !== undefined; row = await cursor.peek()) {
    progress.from = row.key;
    const waiting = decodeRecord<{ readonly bucket: string; readonly key: string }>(row.value);
    const isInScope = waiting.bucket === bucket && waiting.key.startsWith(prefix);
    if (isInScope && (await isPending(reader, bucket, waiting.key))) return true;
    cursor.next();
  }
  return false;
}

async function isPending(reader: MetaReader, bucket: string, key: string): Promise<boolean> {
  const [row] = await reader.get([headKey(bucket, key)]);
  return row !== undefined && isHidden(decodeRecord<HeadRecord>(row));
}

function notHere(lack: Lack, waitedMs: number): SkerryError {
  const what =
    lack.what === 'ops'
      ? `writes of ${lack.origins.join(', ')} that the request refers to`
      : 'the bytes of what the request refers to';
  return new SkerryError('Unavailable', `this site still lacks ${what}; it waited ${waitedMs} ms`, {
    details: { ...lack, retryAfterMs: 1000 },
  });
}
