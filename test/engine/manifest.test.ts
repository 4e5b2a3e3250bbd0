import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import { isSkerryError, type ManifestEntry } from '../../core/contracts/index.ts';
import {
  NODE_MAX,
  parseNode,
  TOP_MAX,
  totalSpan,
  walkRange,
  wrapManifest,
  type Segment,
} from '../../core/engine/manifest.ts';
import { createNodeHashing } from '../../core/kernel/runtime/hashing.ts';

const { hashing, close } = createNodeHashing();
after(close);

const entries = (count: number, length = (i: number): number => (i % 7) + 1): ManifestEntry[] =>
  Array.from({ length: count }, (_, i) => ({ hash: `sha256:${i.toString(16).padStart(64, '0')}`, length: length(i) }));

function rope(flat: readonly ManifestEntry[], topMax?: number) {
  const { manifest, nodes } = wrapManifest(flat, hashing, topMax);
  const bytes = new Map(nodes.map((node) => [node.hash, node.bytes]));
  const loaded: string[] = [];
  const loadNode = async (entry: ManifestEntry): Promise<readonly ManifestEntry[]> => {
    loaded.push(entry.hash);
    return parseNode(entry, bytes.get(entry.hash) as Uint8Array);
  };
  return { manifest, nodes, loaded, loadNode };
}

async function collect(run: AsyncIterable<Segment>): Promise<Segment[]> {
  const segments: Segment[] = [];
  for await (const segment of run) segments.push(segment);
  return segments;
}

function model(flat: readonly ManifestEntry[], start: number, length: number): Segment[] {
  const found: Segment[] = [];
  let at = 0;
  for (const entry of flat) {
    const from = Math.max(start, at);
    const to = Math.min(start + length, at + entry.length);
    if (to > from) found.push({ entry, offsetInChunk: from - at, length: to - from });
    at += entry.length;
  }
  return found;
}

test('a short list stays as it is', () => {
  const flat = entries(TOP_MAX);
  assert.deepEqual(wrapManifest(flat, hashing), { manifest: flat, nodes: [] });
});

test('a long list is wrapped in as few levels as can be, children first', () => {
  for (const [count, top, nodeCount] of [
    [33, 1, 1],
    [NODE_MAX + 1, 2, 2],
    [TOP_MAX * NODE_MAX, 32, 32],
    [TOP_MAX * NODE_MAX + 1, 1, 34],
  ] as const) {
    const { manifest, nodes } = rope(entries(count));
    assert.equal(manifest.length, top);
    assert.equal(nodes.length, nodeCount);
    assert.equal(totalSpan(manifest), totalSpan(entries(count)));
    const known = new Set(entries(count).map(({ hash }) => hash));
    for (const node of nodes) {
      for (const child of node.children) assert.ok(known.has(child.hash));
      known.add(node.hash);
    }
  }
});

test('any range of any rope is what the flat list says', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 5000 }),
      fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })), {
        minLength: 1,
        maxLength: 8,
      }),
      fc.integer({ min: 1, max: 4 }),
      async (lengths, ranges, topMax) => {
        const flat = entries(lengths.length, (i) => lengths[i] as number);
        const { manifest, loadNode } = rope(flat, topMax);
        const size = totalSpan(flat);
        for (const [a, b] of ranges) {
          const start = Math.floor(a * size);
          const length = Math.floor(b * (size - start));
          assert.deepEqual(await collect(walkRange(manifest, start, length, loadNode)), model(flat, start, length));
        }
      },
    ),
    { seed: 12, numRuns: 60 },
  );
});

test('ropes of ropes, as multipart completes make them', async () => {
  const parts = Array.from({ length: 40 }, (_, i) => entries(50 + i));
  const wrapped = parts.map((part) => rope(part, 4));
  const all = rope(wrapped.flatMap(({ manifest }) => manifest));
  const nodes = new Map([...wrapped.flatMap((part) => part.nodes), ...all.nodes].map((node) => [node.hash, node]));
  const loadNode = async (entry: ManifestEntry): Promise<readonly ManifestEntry[]> =>
    parseNode(entry, nodes.get(entry.hash)?.bytes as Uint8Array);
  const flat = parts.flat();
  assert.deepEqual(await collect(walkRange(all.manifest, 100, 3000, loadNode)), model(flat, 100, 3000));
});

test('a range loads the nodes that it touches and no others', async () => {
  const { manifest, loaded, loadNode } = rope(entries(10 * NODE_MAX, () => 1));
  await collect(walkRange(manifest, 3 * NODE_MAX + 5, 10, loadNode));
  assert.deepEqual(loaded, [manifest[3]?.hash]);
});

test('what lies past the end is not satisfiable', async () => {
  const { manifest, loadNode } = rope(entries(3, () => 2));
  for (const [start, length] of [
    [0, 7],
    [7, 0],
    [-1, 2],
    [5, 2],
  ] as const) {
    await assert.rejects(collect(walkRange(manifest, start, length, loadNode)), (error) =>
      isSkerryError(error, 'RangeNotSatisfiable'),
    );
  }
  assert.deepEqual(await collect(walkRange(manifest, 6, 0, loadNode)), []);
});

test('a damaged node is corrupt, not short', () => {
  const { nodes } = rope(entries(100));
  const entry = nodes[0]?.entry as ManifestEntry;
  for (const text of [
    '',
    '{}',
    '[]',
    '[{"hash":1,"length":2}]',
    '[{"hash":"x","length":-1}]',
    JSON.stringify(entries(99)),
  ]) {
    assert.throws(
      () => parseNode(entry, Buffer.from(text)),
      (error) => isSkerryError(error, 'Corrupt'),
    );
  }
});
