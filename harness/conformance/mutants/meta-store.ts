/**
 * Meta-stores with one bug each, by what the bug does. The kit must fail every one of them: a promise that no mutant breaks
 * is a promise that nothing checks. All wrap meta-memory.
 */
import {
  SkerryError,
  type MetaDecide,
  type MetaKey,
  type MetaRange,
  type MetaReader,
  type MetaReads,
  type MetaRow,
  type MetaSnapshot,
  type MetaStore,
  type MetaWrite,
  type PluginDeps,
} from '../../../core/contracts/index.ts';
import memory from '../../../plugins/meta-memory/index.ts';

/** meta-memory takes nothing from the outside world. */
const NO_DEPS = {} as PluginDeps;

/** What a mutant may replace: it gets the honest store to lean on. */
type Bug = (honest: MetaStore) => Partial<MetaStore>;

export function honestMetaStore(): MetaStore {
  return memory.create(NO_DEPS, {});
}

function mutant(bug: Bug): () => MetaStore {
  return () => {
    const honest = honestMetaStore();
    const methods: MetaStore = {
      open: () => honest.open(),
      close: () => honest.close(),
      get: (keys) => honest.get(keys),
      scan: (range) => honest.scan(range),
      transact: (reads, decide) => honest.transact(reads, decide),
      snapshot: () => honest.snapshot(),
      check: (signal) => honest.check(signal),
    };
    return { ...methods, ...bug(honest) };
  };
}

/** A bug in scan, also in the scans of transact and of snapshots. */
function scanBug(change: (range: MetaRange, scan: MetaReader['scan']) => Promise<readonly MetaRow[]>): () => MetaStore {
  return mutant((honest) => ({ scan: (range) => change(range, (inner) => honest.scan(inner)) }));
}

/** A bug in what is written. */
function writeBug(change: (writes: readonly MetaWrite[]) => readonly MetaWrite[]): () => MetaStore {
  return mutant((honest) => ({ transact: (reads, decide) => honest.transact(reads, withWrites(decide, change)) }));
}

function withWrites<T>(decide: MetaDecide<T>, change: (writes: readonly MetaWrite[]) => readonly MetaWrite[]) {
  const changed: MetaDecide<T> = (read) => {
    const decision = decide(read);
    return decision.kind === 'need' ? decision : { ...decision, writes: change(decision.writes) };
  };
  return changed;
}

const tick = (): Promise<void> => Promise.resolve();
const nameOf = ({ space, key }: MetaKey): string => `${space}/${Buffer.from(key).toString('hex')}`;
const write = (store: MetaStore, writes: readonly MetaWrite[]): Promise<void> =>
  store.transact({}, () => ({ kind: 'write', writes, result: undefined }));

/** All rows of the range in the order of `compare`, then limited. */
function reordered(compare: (a: Uint8Array, b: Uint8Array) => number): () => MetaStore {
  return scanBug(async (range, scan) => {
    const rows = [...(await scan({ ...range, limit: 10_000, reverse: false }))];
    rows.sort((a, b) => compare(a.key, b.key) * (range.reverse === true ? -1 : 1));
    return rows.slice(0, range.limit);
  });
}

const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bySignedByte = (a: Uint8Array, b: Uint8Array): number =>
  Buffer.compare(Buffer.from(a.map((byte) => byte ^ 0x80)), Buffer.from(b.map((byte) => byte ^ 0x80)));
const byText = (a: Uint8Array, b: Uint8Array): number => (decode(a) < decode(b) ? -1 : Number(decode(a) > decode(b)));
const truncateAtNul = (key: Uint8Array): Uint8Array => {
  const end = key.indexOf(0);
  return end > 0 ? key.subarray(0, end) : key;
};

const scanMutants: Readonly<Record<string, () => MetaStore>> = {
  'scans one row too many': scanBug((range, scan) => scan({ ...range, limit: Math.min(range.limit + 1, 10_000) })),
  'takes `from` as exclusive': scanBug(async (range, scan) => {
    const rows = await scan(range);
    return rows.filter(({ key }) => range.from === undefined || Buffer.compare(key, range.from) !== 0);
  }),
  'takes `to` as inclusive': scanBug((range, scan) => {
    if (range.to === undefined || range.to.length === 0) return scan(range);
    return scan({ ...range, to: Buffer.concat([range.to, Buffer.of(0)]) });
  }),
  'ignores reverse': scanBug((range, scan) => scan({ ...range, reverse: false })),
  'limits before it reverses': scanBug(async (range, scan) => {
    const rows = await scan({ ...range, reverse: false });
    return range.reverse === true ? rows.toReversed() : rows;
  }),
  'orders keys as text': reordered(byText),
  'orders keys by signed bytes': reordered(bySignedByte),
  'orders keys by length first': reordered((a, b) => a.length - b.length || Buffer.compare(a, b)),
  'scans every range from the start': scanBug(({ from: _from, ...range }, scan) => scan(range)),
  'takes any limit': scanBug((range, scan) =>
    scan({ ...range, limit: Math.min(Math.max(range.limit | 0, 1), 10_000) }),
  ),
};

const valueMutants: Readonly<Record<string, () => MetaStore>> = {
  'loses empty values': mutant((honest) => ({
    get: async (keys) => (await honest.get(keys)).map((value) => (value?.length === 0 ? undefined : value)),
  })),
  'gives an empty value for none': mutant((honest) => ({
    get: async (keys) => (await honest.get(keys)).map((value) => value ?? new Uint8Array(0)),
  })),
  'answers a key that is asked twice once': mutant((honest) => ({
    get: (keys) => honest.get([...new Map(keys.map((key) => [nameOf(key), key])).values()]),
  })),
  'cuts keys at a NUL': writeBug((writes) => writes.map((row) => ({ ...row, key: truncateAtNul(row.key) }))),
  'cuts large values': writeBug((writes) => writes.map((row) => ({ ...row, value: row.value?.subarray(0, 65_536) }))),
  'keeps all spaces in one': mutant((honest) => ({
    get: (keys) => honest.get(keys.map((key) => ({ ...key, space: 'site' }))),
    scan: (range) => honest.scan({ ...range, space: 'site' }),
    transact: (reads, decide) =>
      honest.transact(
        reads,
        withWrites(decide, (writes) => writes.map((row) => ({ ...row, space: 'site' }))),
      ),
  })),
  'keeps the buffers of the caller': keepsBuffers(),
  'hands out its own buffers': handsOutBuffers(),
  'stores the buffer around a view': writeBug((writes) =>
    writes.map((row) => ({ ...row, value: row.value === undefined ? undefined : new Uint8Array(row.value.buffer) })),
  ),
};

function keepsBuffers(): () => MetaStore {
  return mutant((honest) => {
    const kept = new Map<string, Uint8Array | undefined>();
    const keep = (writes: readonly MetaWrite[]): readonly MetaWrite[] => {
      for (const row of writes) kept.set(nameOf(row), row.value);
      return writes;
    };
    return {
      transact: (reads, decide) => honest.transact(reads, withWrites(decide, keep)),
      scan: async (range) => {
        const rows = await honest.scan(range);
        return rows.map(({ key, value }) => ({
          key,
          value: kept.get(nameOf({ space: range.space, key }))?.slice() ?? value,
        }));
      },
    };
  });
}

function handsOutBuffers(): () => MetaStore {
  return mutant((honest) => {
    const cache = new Map<string, Uint8Array>();
    const own = (key: MetaKey, value: Uint8Array | undefined): Uint8Array | undefined => {
      const known = cache.get(nameOf(key));
      if (value === undefined || (known !== undefined && known.length === value.length)) return known;
      cache.set(nameOf(key), value);
      return value;
    };
    return {
      get: async (keys) => (await honest.get(keys)).map((value, index) => own(keys[index] as MetaKey, value)),
      transact: (reads, decide) => {
        cache.clear();
        return honest.transact(reads, decide);
      },
    };
  });
}

const transactMutants: Readonly<Record<string, () => MetaStore>> = {
  'lets the first write of a key win': writeBug((writes) => [
    ...new Map(writes.toReversed().map((row) => [nameOf(row), row])).values(),
  ]),
  'ignores removals': writeBug((writes) => writes.filter(({ value }) => value !== undefined)),
  'writes up to the write that it refuses': mutant((honest) => ({
    transact: async (reads, decide) => {
      const writes: MetaWrite[] = [];
      const planned = withWrites(decide, (rows) => (writes.push(...rows), []));
      const result = await honest.transact(reads, planned);
      for (const row of writes) await write(honest, [row]);
      return result;
    },
  })),
  'rejects with an error of its own': mutant((honest) => ({
    transact: (reads, decide) =>
      honest.transact(reads, decide).catch((error: unknown) => {
        throw error instanceof SkerryError ? error : new SkerryError('Internal', 'refused', { cause: error });
      }),
  })),
  'forgets earlier rounds of need': mutant((honest) => ({
    transact: (reads, decide) => {
      let seen = { values: 0, rows: 0 };
      return honest.transact(reads, ({ values, rows }) => {
        const fresh = { values: values.slice(seen.values), rows: rows.slice(seen.rows) };
        seen = { values: values.length, rows: rows.length };
        return decide(fresh);
      });
    },
  })),
  'mixes up the order of ranges': mutant((honest) => ({
    transact: (reads, decide) =>
      honest.transact(reads, ({ values, rows }) => decide({ values, rows: rows.toReversed() })),
  })),
  'answers before it has written': mutant((honest) => ({
    transact: (reads, decide) => {
      const late: MetaWrite[] = [];
      const planned = withWrites(decide, (rows) => (late.push(...rows), []));
      const answered = honest.transact(reads, planned);
      void answered
        .then(tick)
        .then(tick)
        .then(() => write(honest, late))
        .catch(() => undefined);
      return answered;
    },
  })),
  'does not serialize': mutant((honest) => ({
    transact: (reads, decide) => optimistic(honest, reads, decide, () => true),
  })),
  'looks again at keys but not at ranges': mutant((honest) => ({
    transact: (reads, decide) => optimistic(honest, reads, decide, (fresh, old) => sameValues(fresh, old)),
  })),
  'looks again at the first round only': mutant((honest) => ({
    transact: (reads, decide) => {
      const first = reads.keys?.length ?? 0;
      return optimistic(honest, reads, decide, (fresh, old) => sameValues(fresh.slice(0, first), old.slice(0, first)));
    },
  })),
};

type Values = readonly (Uint8Array | undefined)[];

function sameValues(a: Values, b: Values): boolean {
  const text = (values: Values): string =>
    JSON.stringify(values.map((value) => value && Buffer.from(value).toString('hex')));
  return text(a) === text(b);
}

/** Reads, decides and writes in separate steps, and writes when `unchanged` says that the values are still the same. */
async function optimistic<T>(
  honest: MetaStore,
  reads: MetaReads,
  decide: MetaDecide<T>,
  unchanged: (fresh: Values, old: Values) => boolean,
): Promise<T> {
  for (;;) {
    const keys: MetaKey[] = [];
    const values: (Uint8Array | undefined)[] = [];
    const rows: (readonly MetaRow[])[] = [];
    let decision = await readAndDecide(reads);
    while (decision.kind === 'need') decision = await readAndDecide(decision.reads);
    const { writes, result } = decision;
    const done = await honest.transact({ keys }, ({ values: fresh }) => {
      const go = unchanged(fresh, values);
      return { kind: 'write', writes: go ? writes : [], result: go };
    });
    if (done) return result;

    async function readAndDecide(more: MetaReads) {
      keys.push(...(more.keys ?? []));
      values.push(...(await honest.get(more.keys ?? [])));
      for (const range of more.ranges ?? []) rows.push(await honest.scan(range));
      return decide({ values, rows });
    }
  }
}

const lifeMutants: Readonly<Record<string, () => MetaStore>> = {
  'has snapshots that see later writes': mutant((honest) => ({
    snapshot: async () => {
      const snapshot = await honest.snapshot();
      const live: MetaSnapshot = {
        ...liveReader(honest),
        [Symbol.asyncDispose]: () => snapshot[Symbol.asyncDispose](),
      };
      return live;
    },
  })),
  'takes its snapshots at the first read': mutant((honest) => ({
    snapshot: async () => {
      let taken: Promise<MetaSnapshot> | undefined;
      const take = (): Promise<MetaSnapshot> => (taken ??= honest.snapshot());
      return {
        get: async (keys) => (await take()).get(keys),
        scan: async (range) => (await take()).scan(range),
        [Symbol.asyncDispose]: async () => (await take())[Symbol.asyncDispose](),
      };
    },
  })),
  'lets snapshots be read after they were disposed of': mutant((honest) => ({
    snapshot: async () => {
      const snapshot = await honest.snapshot();
      return { get: (keys) => snapshot.get(keys), scan: (range) => snapshot.scan(range), [Symbol.asyncDispose]: tick };
    },
  })),
  'works after it was closed': mutant(() => ({ close: tick })),
  'works before it was opened': mutant((honest) => {
    const opening = honest.open();
    return { open: () => opening };
  }),
  'closes before running calls have settled': mutant((honest) => ({
    transact: async (reads, decide) => {
      const result = await honest.transact(reads, decide);
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
      return result;
    },
  })),
  'fails the second close': mutant((honest) => {
    let closed = false;
    return {
      close: async () => {
        if (closed) throw new SkerryError('Closed', 'closed already');
        closed = true;
        await honest.close();
      },
    };
  }),
  'counts rows that are gone': mutant((honest) => {
    let written = 0;
    const count = (writes: readonly MetaWrite[]): readonly MetaWrite[] => ((written += writes.length), writes);
    return {
      transact: (reads, decide) => honest.transact(reads, withWrites(decide, count)),
      check: async (signal) => ({ ...(await honest.check(signal)), rows: { heads: written } }),
    };
  }),
  'ignores the signal of check': mutant((honest) => ({ check: () => honest.check() })),
  'shows half a commit': mutant((honest) => ({
    get: async (keys) => {
      const values: (Uint8Array | undefined)[] = [];
      for (const key of keys) values.push(...(await honest.get([key])));
      return values;
    },
    transact: async (reads, decide) => {
      await tick();
      return await honest.transact(reads, decide);
    },
  })),
};

function liveReader(honest: MetaStore): MetaReader {
  return { get: (keys) => honest.get(keys), scan: (range) => honest.scan(range) };
}

/** Each constructs a fresh store that has the bug of its name. */
export const metaStoreMutants: Readonly<Record<string, () => MetaStore>> = {
  ...scanMutants,
  ...valueMutants,
  ...transactMutants,
  ...lifeMutants,
};
