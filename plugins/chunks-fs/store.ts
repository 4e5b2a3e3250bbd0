/** The chunk-store: gate of the lifecycle in front of appender, reader and scan. */
import { SkerryError } from '../../core/contracts/index.ts';
import type {
  ChunkRecord,
  ChunkStore,
  ChunkUsage,
  Locator,
  PluginDeps,
  ReadOptions,
  StoredRecord,
} from '../../core/contracts/index.ts';
import { Appender } from './appender.ts';
import { saveDeadList } from './dead-list.ts';
import { prepareRecord, RECORD_DATA_MAX_BYTES } from './format.ts';
import type { PreparedRecord } from './format.ts';
import { Handles } from './handles.ts';
import { checkOf, parseLocator } from './locator.ts';
import type { Options } from './options.ts';
import { Reader } from './reader.ts';
import { recover, removeSegment } from './recovery.ts';
import { scan, scanSparse } from './scan.ts';
import type { ScanOptions, SparseOptions } from './scan.ts';
import { SegmentTable } from './segment.ts';
import type { Segment } from './segment.ts';

interface Opened {
  readonly segments: SegmentTable;
  readonly handles: Handles;
  readonly appender: Appender;
  /** Ops live for good: in segments of their own they keep no dead data from being given back. */
  readonly opAppender: Appender;
  readonly reader: Reader;
}

function prepared(record: ChunkRecord): PreparedRecord {
  let length = 0;
  for (const piece of record.data) {
    if (!(piece instanceof Uint8Array)) throw new SkerryError('InvalidArgument', 'data must be pieces of bytes');
    length += piece.length;
  }
  if (length > RECORD_DATA_MAX_BYTES) {
    throw new SkerryError('InvalidArgument', `a record has at most ${RECORD_DATA_MAX_BYTES} bytes, not ${length}`);
  }
  const made = prepareRecord(record.kind, record.hash, record.data);
  if (made === undefined) {
    throw new SkerryError(
      'InvalidArgument',
      `no record of kind ${record.kind} and hash ${record.hash.slice(0, 80)} can be stored`,
    );
  }
  return made;
}

/** Records of both sorts: when the second write fails the first is given back. */
async function appendBoth(
  { appender, opAppender, segments }: Opened,
  records: readonly PreparedRecord[],
  isOp: readonly boolean[],
): Promise<readonly Locator[]> {
  const data = await appender.append(records.filter((_, at) => isOp[at] === false));
  let ops: readonly Locator[];
  try {
    ops = await opAppender.append(records.filter((_, at) => isOp[at] === true));
  } catch (error) {
    for (const locator of data) {
      const place = parseLocator(locator);
      if (place !== undefined) segments.get(place.segment)?.markDead(place);
    }
    throw error;
  }
  const next = { data: data.values(), ops: ops.values() };
  return isOp.map((op) => (op ? next.ops : next.data).next().value ?? '');
}

/** Waits for all before it rejects with the first failure. */
async function allDone(steps: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(steps)) if (outcome.status === 'rejected') throw outcome.reason;
}

export class FsChunkStore implements ChunkStore {
  readonly #deps: PluginDeps;
  readonly #options: Options;
  #opened: Opened | undefined;
  #running = 0;
  #onIdle: (() => void) | undefined;
  #closing: Promise<void> | undefined;
  /** Deletions of dead segments that are under way. */
  readonly #removals = new Set<Promise<void>>();

  constructor(deps: PluginDeps, options: Options) {
    this.#deps = deps;
    this.#options = options;
  }

  async open(): Promise<void> {
    const { files, random, logger, dataDir: directory } = this.#deps;
    const segments = new SegmentTable();
    await recover({ files, logger, directory, segments });
    const handles = new Handles(files, this.#options.openFilesMax);
    const onComplete = (segment: Segment): void => this.#removeIfDead(segment);
    const options = this.#options;
    const deps = { files, random, logger, directory, handles, segments, onComplete };
    const appender = new Appender({ ...deps, options });
    const opAppender = new Appender({ ...deps, options: { ...options, minFreeBytes: 0 } });
    this.#opened = { segments, handles, appender, opAppender, reader: new Reader(segments, handles) };
    for (const segment of segments.values()) this.#removeIfDead(segment);
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeOnce();
    return this.#closing;
  }

  append(records: readonly ChunkRecord[]): Promise<readonly Locator[]> {
    return this.#run(async (opened) => {
      const all = records.map(prepared);
      const isOp = records.map(({ kind }) => kind === 'op');
      if (all.length === 0) return [];
      if (!isOp.includes(true)) return opened.appender.append(all);
      return isOp.includes(false) ? appendBoth(opened, all, isOp) : opened.opAppender.append(all);
    });
  }

  sync(): Promise<void> {
    return this.#run(({ appender, opAppender }) => allDone([appender.sync(), opAppender.sync()]));
  }

  read(locator: Locator, options: ReadOptions = {}): Promise<Uint8Array> {
    return this.#run(({ reader }) => reader.read(locator, options));
  }

  readNow(locator: Locator): Uint8Array | undefined {
    return this.#assertOpen().reader.readNow(locator);
  }

  free(locators: readonly Locator[]): Promise<void> {
    return this.#run(async ({ segments, appender }) => {
      const touched = new Set<Segment>();
      for (const locator of locators) {
        const place = parseLocator(locator);
        const segment = place === undefined ? undefined : segments.get(place.segment);
        if (place === undefined || segment === undefined || checkOf(place, segment.salt) !== place.check) continue;
        if (place.offset >= segment.endOffset) continue;
        segment.markDead(place);
        touched.add(segment);
      }
      for (const segment of touched) {
        this.#removeIfDead(segment);
        await appender.trim(segment);
      }
      await Promise.all(this.#removals);
    });
  }

  scan(options: ScanOptions = {}): AsyncGenerator<readonly StoredRecord[], void, undefined> {
    return this.#batches((opened) => scan(opened, options));
  }

  sparse(options: SparseOptions): AsyncGenerator<readonly StoredRecord[], void, undefined> {
    return this.#batches((opened) => scanSparse(opened, options));
  }

  /** A scan counts as a running call only while it works: whoever iterates may close the store in between. */
  async *#batches(
    begin: (opened: Opened) => AsyncGenerator<readonly StoredRecord[], void, undefined>,
  ): AsyncGenerator<readonly StoredRecord[], void, undefined> {
    const batches = begin(this.#assertOpen());
    try {
      for (;;) {
        const step = await this.#run(() => batches.next());
        if (step.done === true) return;
        yield step.value;
      }
    } finally {
      await batches.return();
    }
  }

  usage(): Promise<ChunkUsage> {
    return this.#run(async ({ segments }) => {
      let recordBytes = 0;
      let deadBytes = 0;
      for (const segment of segments.values()) {
        recordBytes += segment.recordBytes;
        deadBytes += segment.deadBytes;
      }
      const { freeBytes } = await this.#deps.files.space(this.#deps.dataDir);
      return { liveBytes: recordBytes - deadBytes, deadBytes, freeBytes };
    });
  }

  #assertOpen(): Opened {
    if (this.#opened === undefined || this.#closing !== undefined) {
      throw new SkerryError('Closed', 'the chunk store is not open');
    }
    return this.#opened;
  }

  #enter(): Opened {
    const opened = this.#assertOpen();
    this.#running += 1;
    return opened;
  }

  #leave(): void {
    this.#running -= 1;
    if (this.#running === 0) this.#onIdle?.();
  }

  async #run<T>(call: (opened: Opened) => Promise<T>): Promise<T> {
    const opened = this.#enter();
    try {
      return await call(opened);
    } finally {
      this.#leave();
    }
  }

  async #closeOnce(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    const opened = this.#opened;
    if (opened === undefined) return;
    const { appender, opAppender, handles, segments } = opened;
    try {
      await allDone([appender.close(), opAppender.close()]);
      await Promise.all(this.#removals);
      for (const segment of segments.values()) {
        if (segment.isDeadListStale) await saveDeadList(this.#deps.files, segment);
      }
    } finally {
      await handles.closeAll();
    }
  }

  /** Deletes a complete segment without live records. The table forgets it first, so nobody finds it half gone. */
  #removeIfDead(segment: Segment): void {
    const opened = this.#opened;
    if (!segment.isDead || opened === undefined || opened.segments.get(segment.number) !== segment) return;
    opened.segments.delete(segment);
    opened.handles.drop(segment);
    const removal = removeSegment(this.#deps.files, segment)
      .catch((error: unknown) => {
        // nothing is lost: the next open finds the segment again and whoever owns liveness frees its records again
        this.#deps.logger.warn({ segment: segment.number, error }, 'could not delete a dead segment');
      })
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }
}
