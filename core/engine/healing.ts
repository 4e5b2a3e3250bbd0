/**
 * Bytes that a reader needs and that are missing or damaged here are fetched from a peer, put where they belong, durably, and
 * read from there (rule 13). Who fetches is replication's affair: a port that it is given to, since a site alone has nobody to ask.
 */
import {
  SkerryError,
  type ChunkHash,
  type Locator,
  type Logger,
  type ManifestEntry,
  type MetaReader,
  type RecordKind,
} from '../contracts/index.ts';
import type { Damage } from './damage.ts';
import { chunkKey } from './keys.ts';
import { decodeRecord, type ChunkRow } from './records.ts';
import { findRecord } from './replica-chunks.ts';
import type { ChunkMover } from './replica-types.ts';
import type { VersionRef } from './version-ref.ts';

const RETRY_AFTER_MS = 5000;

/** A chunk that is asked of peers, and a version that holds it. */
export interface WantedBytes {
  readonly hash: ChunkHash;
  /** Bytes. */
  readonly length: number;
  readonly kind: RecordKind;
  readonly holder: VersionRef;
}

export interface ChunkSupply {
  /** True once the chunk is here, durably, in place of a damaged one too; false when nobody within reach has it. */
  fetch(chunk: WantedBytes): Promise<boolean>;
}

/** Bytes as a reader looks for them. */
export interface SoughtBytes {
  readonly entry: ManifestEntry;
  /** Where they should be; absent: nowhere here. */
  readonly locator: Locator | undefined;
  /** A version that holds them; without one nobody can be asked. */
  readonly holder: VersionRef | undefined;
  /** A small body, which belongs to its version alone. */
  readonly isOwn: boolean;
}

export interface Healing {
  /** Call once there are peers. */
  useSupply(supply: ChunkSupply): void;
  /** Where these bytes are now; `undefined` when they are not here. */
  locate(sought: SoughtBytes): Promise<Locator | undefined>;
  /**
   * Where good bytes are. Rejects with `cause` where there is nobody to ask, `Unavailable` with `retryAfterMs` when nobody within
   * reach has them, `Aborted` by the signal; the fetching goes on then.
   */
  heal(sought: SoughtBytes, cause: unknown, signal?: AbortSignal): Promise<Locator>;
}

export interface HealingDeps {
  readonly reader: Pick<MetaReader, 'get'>;
  readonly replica: Pick<ChunkMover, 'readChunk' | 'storeChunks'>;
  readonly damage: Damage;
  readonly logger: Logger;
}

export function createHealing(deps: HealingDeps): Healing {
  const running = new Map<string, Promise<Locator>>();
  let supply: ChunkSupply | undefined;
  return {
    useSupply: (given) => void (supply = given),
    locate: (sought) => locate(deps, sought),
    async heal(sought, cause, signal) {
      noteDamage(deps, sought, cause);
      if (!supply || !sought.holder) throw cause;
      const name = `${sought.entry.hash} ${sought.isOwn ? sought.locator : ''}`;
      const known = running.get(name);
      const run = known ?? replace(deps, supply, { ...sought, holder: sought.holder }, cause);
      if (!known) {
        running.set(name, run);
        const over = (): void => void running.delete(name);
        run.then(over, over);
      }
      return untilAborted(run, signal);
    },
  };
}

function noteDamage(
  { damage, logger }: HealingDeps,
  { entry, locator, holder, isOwn }: SoughtBytes,
  err: unknown,
): void {
  if (locator === undefined) return;
  const { hash } = entry;
  const isNew = damage.note(locator, { hash, owner: isOwn ? holder : undefined });
  if (isNew) logger.error({ err, hash, locator, ...holder }, 'stored bytes are damaged or gone');
}

async function locate(
  { reader }: Pick<HealingDeps, 'reader'>,
  { entry, holder, isOwn }: SoughtBytes,
): Promise<Locator | undefined> {
  if (isOwn) return holder && (await findRecord({ reader }, holder))?.local?.locator;
  const [row] = await reader.get([chunkKey(entry.hash)]);
  return row && decodeRecord<ChunkRow>(row).locator;
}

async function replace(
  deps: HealingDeps,
  supply: ChunkSupply,
  sought: SoughtBytes & { readonly holder: VersionRef },
  cause: unknown,
): Promise<Locator> {
  const { entry, holder, locator } = sought;
  const { hash, length, span } = entry;
  const kind: RecordKind = span === undefined ? 'data' : 'node';
  const isHere = (await copyShared(deps, sought)) || (await supply.fetch({ hash, length, kind, holder }));
  const now = isHere ? await locate(deps, sought) : undefined;
  if (now === undefined || now === locator)
    throw new SkerryError('Unavailable', 'these bytes are not here, and no site within reach has them', {
      cause,
      details: { hash, ...holder, retryAfterMs: RETRY_AFTER_MS },
    });
  if (locator !== undefined) deps.logger.warn({ hash, ...holder }, 'damaged bytes were replaced by good ones');
  return now;
}

/** A small body may lie among the shared chunks too: then nobody need be asked. */
async function copyShared({ replica, logger }: HealingDeps, { entry, isOwn }: SoughtBytes): Promise<boolean> {
  if (!isOwn) return false;
  try {
    const shared = await replica.readChunk(entry.hash);
    if (!shared) return false;
    await replica.storeChunks([{ hash: entry.hash, ...shared }]);
    return true;
  } catch (err) {
    logger.debug({ err, hash: entry.hash }, 'the same bytes elsewhere are of no use');
    return false;
  }
}

/** The run goes on for others. */
async function untilAborted<T>(run: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return run;
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(new SkerryError('Aborted', 'the read was aborted', { cause: signal.reason }));
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([run, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
