/**
 * Serving snapshots (rule 15): a consistent cut of a site's state with the vector that it covers, pinned while a peer reads it
 * page by page, so that a broken transfer goes on where it was. A cut that nobody asks for any more expires.
 */
import {
  SkerryError,
  type Clock,
  type Logger,
  type MetaStore,
  type Random,
  type Timers,
  type VersionVector,
} from '../contracts/index.ts';
import { decodeClock } from './clock-row.ts';
import {
  decodePosition,
  encodePosition,
  positionOf,
  readEntities,
  type CutEntity,
  type CutPosition,
} from './cut-entities.ts';
import { clockKey, mergingKey, trimmedKey } from './keys.ts';
import { decodeRecord, type MergingRecord } from './records.ts';
import type { Cut } from './replica-types.ts';
import { EMPTY_VECTOR, coversVector } from './vector.ts';

export interface CutPage {
  readonly entities: readonly CutEntity[];
  /** The snapshot has nothing else up to here; absent: nothing else at all. */
  readonly to?: CutPosition;
}

/** One reading of a site's state, as it was when it was opened. */
export interface PinnedCut {
  readonly cut: Omit<OpenedCut, 'cutId'>;
  /** At least one entity, unless nothing is left. `after` absent: from the start. */
  page(after: CutPosition | undefined, limit: CutPageLimit): Promise<CutPage>;
  /** Idempotent. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface CutPageLimit {
  readonly maxEntities: number;
  /** Of JSON, roughly. */
  readonly maxBytes: number;
}

/**
 * Everything in one reading: vector, clock, trim point, data. `Unavailable` (`details.reason: 'merging'`) while this site itself is
 * being filled, unless the asker has all that it is filled with (`knows`): then whatever of it is here already tells the asker
 * nothing new. That is how two sites that wait for each other go on.
 */
export async function openCut(metaStore: MetaStore, knows: VersionVector = EMPTY_VECTOR): Promise<PinnedCut> {
  const snapshot = await metaStore.snapshot();
  try {
    const [clockRow, trimmedRow, mergingRow] = await snapshot.get([clockKey, trimmedKey, mergingKey]);
    const { hlc, vector, merging } = decodeClock(clockRow);
    if (merging && !coversVector(knows, merging)) throw refuseHalf(mergingRow);
    const trimmed = trimmedRow ? decodeRecord<VersionVector>(trimmedRow) : EMPTY_VECTOR;
    return {
      cut: { hlc, vector, trimmed, ...(merging ? { half: merging } : {}) },
      page: (after, limit) =>
        readPage(readEntities(snapshot, after === undefined ? undefined : decodePosition(after)), limit),
      [Symbol.asyncDispose]: () => snapshot[Symbol.asyncDispose](),
    };
  } catch (error) {
    await snapshot[Symbol.asyncDispose]();
    throw error;
  }
}

function refuseHalf(row: Uint8Array | undefined): SkerryError {
  const from = row && decodeRecord<MergingRecord>(row).from;
  return new SkerryError('Unavailable', `this site is itself merging a snapshot of ${from ?? 'a peer'}`, {
    details: { reason: 'merging', ...(from === undefined ? {} : { from }) },
  });
}

async function readPage(
  entities: AsyncGenerator<CutEntity>,
  { maxEntities, maxBytes }: CutPageLimit,
): Promise<CutPage> {
  const page: CutEntity[] = [];
  let bytes = 0;
  for await (const entity of entities) {
    page.push(entity);
    bytes += JSON.stringify(entity).length;
    if (page.length >= maxEntities || bytes >= maxBytes)
      return { entities: page, to: encodePosition(positionOf(entity)) };
  }
  return { entities: page };
}

export interface CutServerDeps {
  readonly metaStore: MetaStore;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** A cut that nobody asked for this long is let go of, milliseconds; default 10 minutes. */
  readonly leaseTtlMs?: number;
  /** Cuts pinned at once; default 4. */
  readonly cutsMax?: number;
}

export interface OpenedCut extends Cut {
  readonly cutId: string;
  /** The site is itself half filled with what this covers: entities may be of that too. */
  readonly half?: VersionVector;
}

export interface CutServer {
  /** Pins a cut. `SlowDown` while too many are in use; `Unavailable` while this site is itself being filled, see `openCut`. */
  open(knows?: VersionVector): Promise<OpenedCut>;
  /** One that is pinned still. */
  find(cutId: string): OpenedCut | undefined;
  /** Renews the pin. `NotFound` when the cut is gone: the peer opens another. */
  page(cutId: string, after: CutPosition | undefined, limit: CutPageLimit): Promise<CutPage>;
  /** Idempotent. */
  release(cutId: string): Promise<void>;
  /** Lets go of all. Idempotent. */
  close(): Promise<void>;
}

interface Pin {
  readonly cut: PinnedCut;
  usedAtMs: number;
  readers: number;
}

const LEASE_TTL_MS = 10 * 60 * 1000;
const CUTS_MAX = 4;

export function createCutServer(deps: CutServerDeps): CutServer {
  const { metaStore, clock, timers, random, logger, leaseTtlMs = LEASE_TTL_MS, cutsMax = CUTS_MAX } = deps;
  const pins = new Map<string, Pin>();
  let opening = 0;
  let timer: { cancel(): void } | undefined;
  let isClosed = false;

  async function release(cutId: string): Promise<void> {
    const pin = pins.get(cutId);
    pins.delete(cutId);
    await pin?.cut[Symbol.asyncDispose]();
  }

  async function expire(): Promise<void> {
    timer = undefined;
    for (const [cutId, pin] of pins) {
      // by the time the one before is gone this one may be in use again
      const isIdle = pin.readers === 0 && pin.usedAtMs <= clock.monotonicMs() - leaseTtlMs;
      if (!isIdle) continue;
      await release(cutId).catch((err: unknown) => logger.error({ err, cutId }, 'a snapshot could not be let go of'));
    }
    expireLater();
  }

  function expireLater(): void {
    if (pins.size > 0 && !isClosed) timer ??= timers.after(leaseTtlMs, () => void expire(), { unref: true });
  }

  return {
    async open(knows) {
      if (pins.size + opening >= cutsMax)
        throw new SkerryError('SlowDown', `${cutsMax} snapshots are being read already; ask again later`);
      opening++;
      try {
        const cut = await openCut(metaStore, knows);
        if (isClosed) {
          await cut[Symbol.asyncDispose]();
          throw new SkerryError('Closed', 'the engine is closed');
        }
        const cutId = random.hex(8);
        pins.set(cutId, { cut, usedAtMs: clock.monotonicMs(), readers: 0 });
        expireLater();
        return { cutId, ...cut.cut };
      } finally {
        opening--;
      }
    },
    find(cutId) {
      const pin = pins.get(cutId);
      return pin && { cutId, ...pin.cut.cut };
    },
    async page(cutId, after, limit) {
      const pin = pins.get(cutId);
      if (!pin) throw new SkerryError('NotFound', `there is no snapshot ${cutId} (any more)`, { details: { cutId } });
      pin.readers++;
      try {
        return await pin.cut.page(after, limit);
      } finally {
        pin.readers--;
        pin.usedAtMs = clock.monotonicMs();
      }
    },
    release,
    async close() {
      isClosed = true;
      timer?.cancel();
      for (const cutId of pins.keys()) await release(cutId);
    },
  };
}
