/** A whole engine over the stores in memory, for tests of what clients see. */
import type {
  ChunkStore,
  Clock,
  Logger,
  MetaStore,
  ObjectService,
  OpenObject,
  Timers,
} from '../../core/contracts/index.ts';
import { createEngine, type Engine, type EngineDeps } from '../../core/engine/engine.ts';
import type { SpaceOptions } from '../../core/engine/space.ts';
import { createNodeRuntime } from '../../core/kernel/runtime/index.ts';
import { MemoryChunkStore } from '../../plugins/chunks-memory/store.ts';
import { MemoryMetaStore } from '../../plugins/meta-memory/store.ts';
import { silentLogger } from './fake-stores.ts';

export interface WholeSite {
  readonly engine: Engine;
  readonly objects: ObjectService;
  readonly metaStore: MetaStore;
  readonly chunkStore: ChunkStore;
  readonly clock: { wallMs: number };
  /** Stored chunks of data and manifest nodes, after everything that nobody holds was given back. */
  chunkCount(): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface WholeSiteOptions {
  /** Default `waw`. */
  readonly siteId?: string;
  readonly partMinBytes?: number;
  /** Ops that nobody needs and that stay all the same; default all. */
  readonly keepOps?: number;
  readonly chunkBytes?: number;
  readonly dedupMinBytes?: number;
  readonly conflictResolver?: EngineDeps['conflictResolver'];
  /** Methods in place of silence. */
  readonly logger?: Partial<Logger>;
  readonly timers?: Timers;
  readonly visibility?: 'complete' | 'eager';
  /** In place of one in memory. */
  readonly chunkStore?: ChunkStore;
  /** One that has seen a site before: nothing is created in it. */
  readonly metaStore?: MetaStore;
  readonly incarnation?: string;
  readonly conflictRetentionMs?: number;
  readonly gc?: SpaceOptions;
}

export const BUCKET = 'bucket';

export async function wholeSite({
  partMinBytes = 1,
  siteId = 'waw',
  keepOps,
  conflictResolver,
  logger,
  timers,
  visibility = 'complete',
  chunkStore = new MemoryChunkStore({ capacityBytes: 0 }),
  metaStore: known,
  incarnation = '0123456789abcdef',
  conflictRetentionMs = 0,
  gc = {},
  ...ingest
}: WholeSiteOptions = {}): Promise<WholeSite> {
  const { runtime, close } = createNodeRuntime(silentLogger);
  const metaStore = known ?? new MemoryMetaStore();
  if (!known) await metaStore.open();
  await chunkStore.open();
  const time = { wallMs: 1_700_000_000_000 };
  const clock: Clock = { wallMs: () => time.wallMs, monotonicMs: () => runtime.clock.monotonicMs() };
  const deps: EngineDeps & { readonly partMinBytes: number } = {
    ...runtime,
    clock,
    metaStore,
    chunkStore,
    siteId,
    incarnation,
    masterKey: new Uint8Array(32),
    configIdentities: [],
    // tests move the clock by days
    isReplicated: false,
    hooks: { beforeWrite: () => undefined, committed: () => {} },
    logger: { ...silentLogger, ...logger },
    ...(timers ? { timers } : {}),
    options: { ingest, visibility, conflictRetentionMs, gc, ...(keepOps === undefined ? {} : { keepOps }) },
    ...(conflictResolver ? { conflictResolver } : {}),
    partMinBytes,
  };
  const engine = createEngine(deps);
  await engine.open();
  const isReplica = conflictResolver?.writers !== undefined && conflictResolver.writers.primary !== siteId;
  if (!isReplica && !known) await engine.objects.createBucket({ bucket: BUCKET, owner: 'owner' });
  return {
    engine,
    objects: engine.objects,
    metaStore,
    chunkStore,
    clock: time,
    async chunkCount() {
      // a manifest node that goes lets go of its entries, which the next pass finds
      while ((await engine.garbage.run()) > 0);
      // the reclaimer frees behind the commit's back: one turn of the event loop lets it
      await new Promise((resolve) => setImmediate(resolve));
      let count = 0;
      for await (const batch of chunkStore.scan()) count += batch.filter(({ kind }) => kind !== 'op').length;
      return count;
    },
    async [Symbol.asyncDispose]() {
      await engine.close();
      await metaStore.close();
      await chunkStore.close();
      await close();
    },
  };
}

/** All bytes of an object. */
export async function readAll(objects: ObjectService, key: string, start = 0, length?: number): Promise<Buffer> {
  return bytesOf(await objects.openObject({ bucket: BUCKET, key }), start, length);
}

/** Reads an open object, and closes it. */
export async function bytesOf(
  object: OpenObject,
  start = 0,
  length = object.info.content.size - start,
): Promise<Buffer> {
  try {
    const pieces: Buffer[] = [];
    for await (const piece of object.read(start, length)) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  } finally {
    object.close();
  }
}

/** Deterministic bytes that do not repeat. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
