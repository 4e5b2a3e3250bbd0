/** The meta-store over one sorted map a space. Every call runs to its end before it returns its promise. */
import {
  META_SPACES,
  requireMetaKeys,
  requireMetaRange,
  requireMetaReads,
  requireMetaWrites,
  SkerryError,
  type MetaCheckReport,
  type MetaDecide,
  type MetaKey,
  type MetaRange,
  type MetaReads,
  type MetaRow,
  type MetaSnapshot,
  type MetaSpace,
  type MetaStore,
  type MetaWrite,
} from '../../core/contracts/index.ts';
import { SortedMap, type SortedView } from './sorted-map.ts';

type Spaces<M extends SortedView> = Readonly<Record<MetaSpace, M>>;

function forEachSpace<M extends SortedView>(make: (space: MetaSpace) => M): Spaces<M> {
  return Object.fromEntries(META_SPACES.map((space) => [space, make(space)])) as unknown as Spaces<M>;
}

export class MemoryMetaStore implements MetaStore {
  #spaces: Spaces<SortedMap> | undefined;
  #openedBefore = false;
  readonly #snapshots = new Set<MemorySnapshot>();

  async open(): Promise<void> {
    if (this.#openedBefore) throw new SkerryError('InvalidArgument', 'the meta-store was opened or closed before');
    this.#openedBefore = true;
    this.#spaces = forEachSpace(() => new SortedMap());
  }

  async close(): Promise<void> {
    this.#openedBefore = true;
    this.#spaces = undefined;
    for (const snapshot of this.#snapshots) snapshot.end();
  }

  async get(keys: readonly MetaKey[]): Promise<readonly (Uint8Array | undefined)[]> {
    const spaces = this.#requireOpen();
    requireMetaKeys(keys);
    return readKeys(spaces, keys);
  }

  async scan(range: MetaRange): Promise<readonly MetaRow[]> {
    const spaces = this.#requireOpen();
    requireMetaRange(range);
    return readRange(spaces, range);
  }

  async transact<T>(reads: MetaReads, decide: MetaDecide<T>): Promise<T> {
    const spaces = this.#requireOpen();
    const values: (Uint8Array | undefined)[] = [];
    const rows: (readonly MetaRow[])[] = [];
    for (let wanted = reads; ;) {
      requireMetaReads(wanted);
      for (const { space, key } of wanted.keys ?? []) values.push(readKey(spaces, space, key));
      for (const range of wanted.ranges ?? []) rows.push(readRange(spaces, range));
      const decision = decide({ values, rows });
      if (decision.kind === 'need') {
        wanted = decision.reads;
        continue;
      }
      requireMetaWrites(decision.writes);
      for (const write of decision.writes) apply(spaces, write);
      return decision.result;
    }
  }

  async snapshot(): Promise<MetaSnapshot> {
    const spaces = this.#requireOpen();
    const views = forEachSpace((space) => spaces[space].snapshot());
    const snapshot = new MemorySnapshot(views, () => this.#snapshots.delete(snapshot));
    this.#snapshots.add(snapshot);
    return snapshot;
  }

  async check(signal?: AbortSignal): Promise<MetaCheckReport> {
    const spaces = this.#requireOpen();
    if (signal?.aborted === true) throw new SkerryError('Aborted', 'the check was aborted');
    const problems = META_SPACES.flatMap((space) => spaces[space].problems().map((problem) => `${space}: ${problem}`));
    const rows = Object.fromEntries(META_SPACES.map((space) => [space, spaces[space].size]));
    return { ok: problems.length === 0, problems, rows };
  }

  #requireOpen(): Spaces<SortedMap> {
    if (this.#spaces === undefined) throw new SkerryError('Closed', 'the meta-store is not open');
    return this.#spaces;
  }
}

class MemorySnapshot implements MetaSnapshot {
  #views: Spaces<SortedView> | undefined;
  readonly #ended: () => void;

  constructor(views: Spaces<SortedView>, ended: () => void) {
    this.#views = views;
    this.#ended = ended;
  }

  async get(keys: readonly MetaKey[]): Promise<readonly (Uint8Array | undefined)[]> {
    const views = this.#requireOpen();
    requireMetaKeys(keys);
    return readKeys(views, keys);
  }

  async scan(range: MetaRange): Promise<readonly MetaRow[]> {
    const views = this.#requireOpen();
    requireMetaRange(range);
    return readRange(views, range);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
  }

  end(): void {
    this.#views = undefined;
    this.#ended();
  }

  #requireOpen(): Spaces<SortedView> {
    if (this.#views === undefined) throw new SkerryError('Closed', 'the snapshot was disposed of');
    return this.#views;
  }
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** Never out of Buffer's pool: what is handed out belongs to the caller, its ArrayBuffer included. */
function toBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  Buffer.from(bytes.buffer).write(text, 'latin1');
  return bytes;
}

/** Not `slice`, which on a Buffer would share the memory. */
function copy(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

function readKey(spaces: Spaces<SortedView>, space: MetaSpace, key: Uint8Array): Uint8Array | undefined {
  const value = spaces[space].get(toText(key));
  return value === undefined ? undefined : copy(value);
}

function readKeys(spaces: Spaces<SortedView>, keys: readonly MetaKey[]): (Uint8Array | undefined)[] {
  return keys.map(({ space, key }) => readKey(spaces, space, key));
}

function readRange(spaces: Spaces<SortedView>, { space, from, to, limit, reverse }: MetaRange): MetaRow[] {
  const bounds = { from: from && toText(from), to: to && toText(to) };
  const entries = spaces[space].scan(bounds, limit, reverse === true);
  return entries.map(({ key, value }) => ({ key: toBytes(key), value: copy(value) }));
}

function apply(spaces: Spaces<SortedMap>, { space, key, value }: MetaWrite): void {
  if (value === undefined) spaces[space].delete(toText(key));
  else spaces[space].set(toText(key), copy(value));
}
