import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isSkerryError, type ListInput, type ListPage, type ListVersionsInput } from '../../core/contracts/index.ts';
import { bucketKey, headKey, uploadKey, versionKey } from '../../core/engine/keys.ts';
import { createListing } from '../../core/engine/listing.ts';
import { encodeRecord, type HeadRecord, type UploadRecord, type VersionRecord } from '../../core/engine/records.ts';
import { makeStamp, versionIdOf } from '../../core/engine/stamp.ts';
import { FakeMetaStore } from './fake-stores.ts';
import { WEIRD_OBJECT_KEYS } from '../../harness/conformance/weird-keys.ts';

const BUCKET = 'bucket';
const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

interface Version {
  readonly key: string;
  readonly seq: number;
  readonly marker: boolean;
  readonly isNull: boolean;
}

const stampOf = (seq: number): string => makeStamp(seq.toString(16).padStart(16, '0'), 'waw.0123456789abcdef', seq);
const idOf = ({ seq, isNull }: Version): string => (isNull ? 'null' : versionIdOf(stampOf(seq)));

function recordOf({ seq, marker, isNull }: Version): VersionRecord {
  const content = { size: seq, etag: `e${seq}`, manifest: [], headers: {}, metadata: {}, storageClass: 'STANDARD' };
  return {
    stamp: stampOf(seq),
    deps: {},
    owner: 'o',
    modifiedAtMs: seq,
    ...(marker ? { marker } : { content }),
    ...(isNull ? { nullVersion: true } : {}),
  };
}

/** Newest last for each key; at most one null version a key is what the engine keeps. */
function bench(versions: readonly Version[]) {
  const store = new FakeMetaStore();
  store.set(bucketKey(BUCKET), encodeRecord({}));
  // neighbours that a wrong bound would let in
  for (const bucket of ['bucke', 'bucket0', 'bucket-']) {
    store.set(headKey(bucket, 'x'), encodeRecord(recordOf({ key: 'x', seq: 1, marker: false, isNull: true })));
    store.set(
      versionKey(bucket, 'x', stampOf(1)),
      encodeRecord(recordOf({ key: 'x', seq: 1, marker: false, isNull: false })),
    );
    store.set(uploadKey(bucket, 'x', 'u'), encodeRecord({}));
  }
  const byKey = Map.groupBy(versions, ({ key }) => key);
  for (const [key, all] of byKey) {
    const newestFirst = all.toSorted((a, b) => b.seq - a.seq);
    const [head, ...rest] = newestFirst as [Version, ...Version[]];
    const old = rest.find(({ isNull }) => isNull);
    const record: HeadRecord = { ...recordOf(head), ...(old === undefined ? {} : { nullStamp: stampOf(old.seq) }) };
    store.set(headKey(BUCKET, key), encodeRecord(record));
    for (const version of rest)
      store.set(versionKey(BUCKET, key, stampOf(version.seq)), encodeRecord(recordOf(version)));
  }
  return { store, listing: createListing({ reader: store }) };
}

// an alphabet in which prefixes, delimiters and NULs collide often
const letter = fc.constantFrom('a', 'b', '/', '//', '\0', '\u{10ffff}', '\u{1f980}', '\uffff', '\u00ff', '-');
const text = fc.array(letter, { maxLength: 5 }).map((letters) => letters.join(''));
const anyKey = fc.oneof(
  { weight: 6, arbitrary: text.filter((key) => key !== '') },
  { weight: 1, arbitrary: fc.constantFrom(...WEIRD_OBJECT_KEYS) },
);
const anyQuery = fc.record(
  {
    prefix: fc.oneof(fc.constant(''), text),
    delimiter: fc.constantFrom('/', '//', 'a', '\0', 'ab', '\u{1f980}', '\u{10ffff}'),
    after: text,
    limit: fc.integer({ min: 1, max: 6 }),
  },
  { requiredKeys: ['limit'] },
);
type Query = Omit<ListInput, 'bucket'>;

const anyVersions = fc.array(fc.tuple(anyKey, fc.boolean(), fc.nat(4)), { maxLength: 40 }).map((rows) => {
  const nulls = new Set<string>();
  return rows.map(([key, marker, chance], i): Version => {
    const isNull = chance === 0 && !nulls.has(key);
    if (isNull) nulls.add(key);
    return { key, seq: i + 1, marker, isNull };
  });
});

interface Item {
  readonly at: string;
  readonly isPrefix: boolean;
  readonly id: string;
}

/** What the whole listing is, from its definition. */
function model(
  rows: readonly { readonly key: string; readonly id: string }[],
  { prefix = '', delimiter, after }: Query,
): Item[] {
  const items: Item[] = [];
  for (const { key, id } of rows.toSorted((a, b) => compare(a.key, b.key))) {
    if (!key.startsWith(prefix)) continue;
    const at = delimiter === undefined ? -1 : key.indexOf(delimiter, prefix.length);
    const item =
      at < 0
        ? { at: key, isPrefix: false, id }
        : { at: key.slice(0, at + (delimiter ?? '').length), isPrefix: true, id: '' };
    if (after !== undefined && compare(item.at, after) <= 0) continue;
    if (item.isPrefix && items.some((other) => other.isPrefix && other.at === item.at)) continue;
    items.push(item);
  }
  return items;
}

/** Pages through a listing and puts the pages together, checking each one's promises. */
async function drain<T extends { readonly key: string }, Q extends Query>(
  list: (query: Q) => Promise<ListPage<T>>,
  query: Q,
  idOfEntry: (entry: T) => string,
  nextOf: (page: ListPage<T>) => Partial<Q>,
): Promise<Item[]> {
  const all: Item[] = [];
  for (let resume: Partial<Q> = {}; ;) {
    const page = await list({ ...query, ...resume });
    const count = page.entries.length + page.commonPrefixes.length;
    assert.ok(count <= query.limit);
    if (page.truncated) assert.equal(count, query.limit);
    const items = [
      ...page.entries.map((entry) => ({ at: entry.key, isPrefix: false, id: idOfEntry(entry) })),
      ...page.commonPrefixes.map((at) => ({ at, isPrefix: true, id: '' })),
    ];
    all.push(...items.sort((a, b) => compare(a.at, b.at)));
    assert.equal(page.next !== undefined, page.truncated);
    if (!page.truncated) return all;
    assert.equal(page.next, all.at(-1)?.at);
    resume = nextOf(page);
  }
}

const RUNS = { numRuns: 400 };

test('objects: every query, page by page, is what the definition says', async () => {
  await fc.assert(
    fc.asyncProperty(anyVersions, anyQuery, async (versions, query) => {
      const { listing } = bench(versions);
      const newest = new Map(versions.map((version) => [version.key, version]));
      const visible = [...newest.values()]
        .filter(({ marker }) => !marker)
        .map((version) => ({ key: version.key, id: `e${version.seq}` }));
      const found = await drain(
        (q: Query) => listing.listObjects({ bucket: BUCKET, ...q }),
        query,
        (entry) => entry.etag,
        (page) => ({ after: page.next ?? '' }),
      );
      assert.deepEqual(found, model(visible, query));
    }),
    { seed: 1, ...RUNS },
  );
});

test('versions: every query, page by page, is what the definition says', async () => {
  await fc.assert(
    fc.asyncProperty(anyVersions, anyQuery, async (versions, query) => {
      const { listing } = bench(versions);
      const newestFirst = versions
        .toSorted((a, b) => b.seq - a.seq)
        .map((version) => ({ key: version.key, id: idOf(version) }));
      const found = await drain(
        (q: Omit<ListVersionsInput, 'bucket'>) => listing.listVersions({ bucket: BUCKET, ...q }),
        query,
        (entry) => entry.versionId,
        (page) => {
          const id = (page as { nextVersionId?: string }).nextVersionId;
          return { after: page.next ?? '', ...(id === undefined ? {} : { afterVersionId: id }) };
        },
      );
      assert.deepEqual(found, model(newestFirst, query));
    }),
    { seed: 2, ...RUNS },
  );
});

test('uploads: every query, page by page, is what the definition says', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(anyKey, fc.integer({ min: 10, max: 99 })), { maxLength: 30 }),
      anyQuery,
      async (rows, query) => {
        const { store, listing } = bench([]);
        const unique = [...new Map(rows.map(([key, id]) => [`${key} ${id}`, { key, id: `u${id}` }])).values()];
        const record: UploadRecord = {
          owner: 'o',
          initiator: 'i',
          initiatedAtMs: 1,
          generation: 0,
          headers: {},
          metadata: {},
          storageClass: 'STANDARD',
        };
        for (const { key, id } of unique) store.set(uploadKey(BUCKET, key, id), encodeRecord(record));
        const sorted = unique.toSorted((a, b) => compare(a.id, b.id));
        const found = await drain(
          (q: Query & { afterUploadId?: string }) => listing.listUploads({ bucket: BUCKET, ...q }),
          query,
          (entry) => entry.uploadId,
          (page) => {
            const id = (page as { nextUploadId?: string }).nextUploadId;
            return { after: page.next ?? '', ...(id === undefined ? {} : { afterUploadId: id }) };
          },
        );
        assert.deepEqual(found, model(sorted, query));
      },
    ),
    { seed: 3, ...RUNS },
  );
});

const many = (keys: readonly string[], marker = false): Version[] =>
  keys.map((key, i) => ({ key, seq: i + 1, marker, isNull: true }));
const numbered = (count: number, make: (name: string) => string): string[] =>
  Array.from({ length: count }, (_, i) => make(String(i).padStart(6, '0')));

test('what lies under a common prefix is not scanned', async () => {
  const { store, listing } = bench(many([...numbered(5000, (n) => `a/${n}`), ...numbered(5000, (n) => `b/${n}`), 'c']));
  const page = await listing.listObjects({ bucket: BUCKET, delimiter: '/', limit: 1000 });
  assert.deepEqual([page.commonPrefixes, page.entries.length, page.truncated], [['a/', 'b/'], 1, false]);
  assert.ok(store.scannedRows < 200, `${store.scannedRows} rows`);
});

test('a page costs its own rows, wherever it lies', async () => {
  const { store, listing } = bench(many(numbered(20_000, (n) => `k${n}`)));
  const page = await listing.listObjects({ bucket: BUCKET, after: 'k010000', limit: 1000 });
  assert.deepEqual(
    [page.entries[0]?.key, page.entries.length, page.truncated, page.next],
    ['k010001', 1000, true, 'k011000'],
  );
  assert.deepEqual([store.scans, store.scannedRows], [1, 1001]);
});

test('a thousand folders cost a few rows each', async () => {
  const { store, listing } = bench(
    many(numbered(1000, (n) => n).flatMap((n) => [`${n}/a`, `${n}/b`, `${n}/c`, `${n}/d`, `${n}/e`, `${n}/f`])),
  );
  const page = await listing.listObjects({ bucket: BUCKET, delimiter: '/', limit: 1000 });
  assert.deepEqual([page.commonPrefixes.length, page.truncated], [1000, false]);
  assert.ok(store.scannedRows < 8000, `${store.scannedRows} rows`);
});

test('delete markers are no objects, make no common prefix and are no reason for another page', async () => {
  const markers = many(
    numbered(3000, (n) => `gone/${n}`),
    true,
  );
  const { listing } = bench([...markers, { key: 'here', seq: 9000, marker: false, isNull: true }]);
  const page = await listing.listObjects({ bucket: BUCKET, delimiter: '/', limit: 1 });
  assert.deepEqual([page.commonPrefixes, page.entries.map(({ key }) => key), page.truncated], [[], ['here'], false]);
  assert.deepEqual((await listing.listVersions({ bucket: BUCKET, delimiter: '/', limit: 5 })).commonPrefixes, [
    'gone/',
  ]);
});

test('a limit of zero answers an empty page, and other limits are refused', async () => {
  const { listing } = bench(many(['a']));
  for (const list of [listing.listObjects, listing.listVersions, listing.listUploads]) {
    assert.deepEqual(await list({ bucket: BUCKET, limit: 0 }), { entries: [], commonPrefixes: [], truncated: false });
    for (const limit of [-1, 1001, 1.5])
      await assert.rejects(list({ bucket: BUCKET, limit }), (error) => isSkerryError(error, 'InvalidArgument'));
    await assert.rejects(list({ bucket: 'absent', limit: 1 }), (error) => isSkerryError(error, 'NoSuchBucket'));
  }
});

test('a version marker whose version was removed still says where to go on', async () => {
  const versions = [1, 2, 3, 4].map((seq): Version => ({ key: 'k', seq, marker: false, isNull: seq === 2 }));
  const list = async (kept: readonly number[], afterVersionId: string): Promise<string[]> => {
    const { listing } = bench(versions.filter(({ seq }) => kept.includes(seq)));
    const page = await listing.listVersions({ bucket: BUCKET, after: 'k', afterVersionId, limit: 10 });
    return page.entries.map(({ versionId, isLatest }) => versionId + (isLatest ? '*' : ''));
  };
  const [one, two, three, four] = versions.map((version) => idOf(version)) as [string, string, string, string];
  assert.deepEqual(await list([1, 2, 3, 4], three), [two, one]);
  assert.deepEqual(await list([1, 2], three), [`${two}*`, one]);
  assert.deepEqual(await list([1, 3, 4], 'null'), [`${four}*`, three, one]);
  assert.deepEqual(await list([1, 2, 3], 'null'), [one]);
  const { listing } = bench(versions);
  await assert.rejects(
    listing.listVersions({ bucket: BUCKET, after: 'k', afterVersionId: 'nonsense', limit: 1 }),
    (error) => isSkerryError(error, 'InvalidArgument'),
  );
  await assert.rejects(listing.listVersions({ bucket: BUCKET, afterVersionId: one, limit: 1 }), (error) =>
    isSkerryError(error, 'InvalidArgument'),
  );
});
