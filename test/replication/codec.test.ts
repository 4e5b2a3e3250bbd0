/** Messages come back as they were sent; whatever else arrives is refused with a code, never half taken. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as fc from 'fast-check';

import { isSkerryError, type Json, type Op, type OpBody } from '../../core/contracts/index.ts';
import {
  chunksFrame,
  chunksRequest,
  helloAnswer,
  helloRequest,
  onlyFrame,
  opsFrame,
  opsRequest,
  pushAnswer,
  pushRequest,
  putChunksAnswer,
  putChunksRequest,
  wantsAnswer,
  wantsRequest,
  watermarksMessage,
  type Codec,
} from '../../core/replication/codec.ts';
import { decodeFrame, encodeFrame } from '../../core/replication/frames.ts';
import { negotiate, requireVersion, type OpsFrame } from '../../core/replication/protocol.ts';
import { rejectsWith } from '../../harness/conformance/traits.ts';
import { Author, content } from '../engine/support.ts';

const ORIGIN = 'waw.0123456789abcdef';
const HLC = '018c000000000000';
const VECTOR = { [ORIGIN]: 3 };
const HASH = `sha256:${'ab'.repeat(32)}`;
const REF = { hash: HASH, holder: { bucket: 'bucket', key: 'k', stamp: `${HLC}!waw!0123456789abcdef!0000000003` } };
const STAMP = `${HLC}!waw!0123456789abcdef!0000000003`;

const refuses = (what: () => unknown): void =>
  assert.throws(what, (error) => isSkerryError(error, 'InvalidArgument') && !(error.cause instanceof TypeError));

const put = (label: string): OpBody => ({
  type: 'version.put',
  bucket: 'bucket',
  key: `key/${label}`,
  nullVersion: false,
  marker: false,
  content: content(label),
  owner: 'owner',
  modifiedAtMs: 5,
  settings: { tags: { a: 'b' } },
});

/** One op of each type, in causal order of one origin. */
function everyType(): readonly Op[] {
  const author = new Author('waw');
  const target = STAMP;
  const bodies: readonly OpBody[] = [
    { type: 'bucket.create', bucket: 'bucket', owner: 'owner', createdAtMs: 1 },
    { type: 'bucket.setting', bucket: 'bucket', name: 'versioning', value: 'Enabled' },
    put('x'),
    { type: 'version.put', bucket: 'bucket', key: 'k', nullVersion: true, marker: true, owner: 'o', modifiedAtMs: 1 },
    { type: 'version.setting', bucket: 'bucket', key: 'k', target, name: 'tags', value: null },
    { type: 'version.remove', bucket: 'bucket', key: 'k', target },
    { type: 'version.remove', bucket: 'bucket', key: 'k', target: null },
    { type: 'bucket.remove', bucket: 'bucket' },
    ...(['principal', 'policy', 'member'] as const).flatMap((kind): OpBody[] => [
      { type: `${kind}.put`, id: 'id', value: { a: [1, null, true] } },
      { type: `${kind}.remove`, id: 'id' },
    ]),
  ];
  return bodies.map((body) => author.write(body, 1_700_000_000_000));
}

const report = {
  site: 'waw',
  origin: ORIGIN,
  vector: VECTOR,
  hlc: HLC,
  wallMs: 17,
  peers: [{ site: 'ber', url: 'x' }],
};
const wireOps = [{ op: everyType()[0] as Op, body: Buffer.from('abc') }, { op: everyType()[1] as Op }];
const piece = { kind: 'piece', hash: HASH, record: 'data', length: 8, offset: 5, bytes: Buffer.from('xyz') } as const;

interface Sample {
  readonly name: string;
  readonly message: object;
  readonly encoded: Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

const sample = <T extends object>(name: string, codec: Codec<T>, message: T): Sample => ({
  name,
  message,
  encoded: codec.encode(message),
  decode: (bytes) => codec.decode(bytes),
});

const messages: readonly Sample[] = [
  sample('hello request', helloRequest, { ...report, protocol: { min: 1, max: 2 } }),
  sample('hello answer', helloAnswer, { ...report, protocol: 1, yours: STAMP }),
  sample('ops request', opsRequest, { protocol: 1, have: VECTOR, skip: [ORIGIN], waitMs: 1000 }),
  sample('page', opsFrame, { kind: 'page', ops: wireOps }),
  sample('gap', opsFrame, { kind: 'gap', origin: ORIGIN, trimmedTo: 7 }),
  sample('caught-up', opsFrame, { kind: 'caught-up', vector: VECTOR, hlc: HLC }),
  sample('end', opsFrame, { kind: 'end' }),
  sample('push request', pushRequest, { protocol: 1, ops: wireOps }),
  sample('push answer', pushAnswer, { vector: VECTOR, hlc: HLC, blocked: [ORIGIN] }),
  sample('push answer of one half filled', pushAnswer, { vector: VECTOR, hlc: HLC, blocked: [], isHalf: true }),
  sample('chunks request', chunksRequest, { protocol: 1, chunks: [REF] }),
  sample('piece', chunksFrame, piece),
  sample('missing', chunksFrame, { kind: 'missing', hashes: [HASH] }),
  sample('wants request', wantsRequest, { protocol: 1, waitMs: 5 }),
  sample('wants answer', wantsAnswer, { chunks: [REF] }),
  sample('put-chunks request', putChunksRequest, {
    protocol: 1,
    chunks: [{ hash: HASH, kind: 'node', bytes: Buffer.from('[]') }],
  }),
  sample('put-chunks answer', putChunksAnswer, { stored: 1 }),
  sample('watermarks', watermarksMessage, { protocol: 1, marks: [{ origin: ORIGIN, hlc: HLC, vector: VECTOR }] }),
];

/** Views of bytes compared by content. */
const plain = (message: unknown): unknown =>
  JSON.parse(JSON.stringify(message, (_, value: unknown) => (value instanceof Uint8Array ? [...value] : value)));
const bufferless = (message: unknown): unknown =>
  JSON.parse(
    JSON.stringify(message, (_, value: { readonly type?: unknown; readonly data?: unknown } | null) =>
      value?.type === 'Buffer' ? value.data : value,
    ),
  );
const same = (a: unknown, b: unknown): void => assert.deepEqual(bufferless(plain(a)), bufferless(plain(b)));

describe('messages', () => {
  for (const { name, message, encoded, decode } of messages) {
    test(`${name}: there and back`, () => {
      same(decode(encoded), message);
    });

    test(`${name}: cut short anywhere, or with bytes too many, is refused`, () => {
      for (let length = 0; length < encoded.length; length++) {
        if (name === 'piece' && length > encoded.length - 4) continue; // a shorter piece is a piece
        refuses(() => decode(encoded.subarray(0, length)));
      }
      refuses(() => decode(Buffer.concat([encoded, Buffer.from('!')])));
    });

    test(`${name}: any other value in any field is taken whole or refused with InvalidArgument`, () => {
      const { head, raw } = decodeFrame(encoded);
      const names = Object.keys(head as object);
      const property = fc.property(fc.constantFrom(...names), fc.jsonValue(), (field, value) => {
        try {
          decode(encodeFrame({ ...(head as object), [field]: value }, [raw]));
        } catch (error) {
          assert.ok(isSkerryError(error, 'InvalidArgument'), String(error));
        }
      });
      fc.assert(property, { seed: 11, numRuns: 100 });
    });
  }

  test('random bytes are refused', () => {
    const property = fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const { decode } of messages) refuses(() => decode(bytes));
    });
    fc.assert(property, { seed: 12, numRuns: 200 });
  });

  test('an answer has exactly one frame', async () => {
    const frames = async function* (count: number) {
      for (let i = 0; i < count; i++) yield Uint8Array.of(i);
    };
    assert.deepEqual(await onlyFrame(frames(1)), Uint8Array.of(0));
    await rejectsWith('Unavailable', () => onlyFrame(frames(0)));
    await rejectsWith('Unavailable', () => onlyFrame(frames(2)));
  });
});

describe('ops', () => {
  const decodeOps = (ops: readonly unknown[]): OpsFrame =>
    opsFrame.decode(encodeFrame({ kind: 'page', ops: ops.map((op) => ({ op })) }));

  test('every type comes back as it was sent', () => {
    const ops = everyType();
    same(decodeOps(ops), { kind: 'page', ops: ops.map((op) => ({ op })) });
  });

  test('an unknown type, unknown fields and unknown settings are kept verbatim (rule 1 of compatibility)', () => {
    const [op] = everyType() as [Op];
    const unknown = { ...op, body: { type: 'lease.grant', holder: 'ber', deep: [{ a: 1 }] }, extra: 1 };
    same(decodeOps([unknown]), { kind: 'page', ops: [{ op: unknown }] });
    const later = { ...op, body: { type: 'bucket.setting', bucket: 'bucket', name: 'colour', value: 1, why: 'new' } };
    same(decodeOps([later]), { kind: 'page', ops: [{ op: later }] });
  });

  const op = everyType()[2] as Op;
  const body = op.body as OpBody & { readonly type: 'version.put' };
  const inner = content('x');
  const bad: Readonly<Record<string, unknown>> = {
    'a stamp of another op': { ...op, stamp: STAMP.replace('0000000003', '0000000009') },
    'a stamp of another site': { ...op, stamp: op.stamp.replace('!waw!', '!ber!') },
    'a dot of seq 0': { ...op, dot: { ...op.dot, seq: 0 } },
    'deps that skip its predecessor': { ...op, deps: { ...op.deps, [op.dot.origin]: 1 } },
    'deps that cover itself': { ...op, deps: { ...op.deps, [op.dot.origin]: 3 } },
    'an origin that is a path': { ...op, deps: { ...op.deps, '../../etc.0123456789abcdef': 1 } },
    'a bucket that is a path': { ...op, body: { ...body, bucket: '../x' } },
    'a key of lone surrogates': { ...op, body: { ...body, key: '\ud800' } },
    'a key of 1025 bytes': { ...op, body: { ...body, key: 'é'.repeat(513) } },
    'a marker with content': { ...op, body: { ...body, marker: true } },
    'a version without content': { ...op, body: { ...body, content: undefined } },
    'a size that the manifest does not cover': { ...op, body: { ...body, content: { ...inner, size: 1e15 } } },
    'a chunk hash that is a path': {
      ...op,
      body: { ...body, content: { ...inner, manifest: [{ hash: 'sha256:../../x', length: 1 }] } },
    },
    'a chunk of 1 TiB': {
      ...op,
      body: { ...body, content: { ...inner, size: 2 ** 40, manifest: [{ hash: HASH, length: 2 ** 40 }] } },
    },
    'a type with a path': { ...op, body: { ...body, type: '../version' } },
    'an op of 1 MiB': { ...op, body: { ...body, owner: 'x', settings: { tags: 'x'.repeat(1024 * 1024) } } },
    'a setting nested a hundred deep': { ...op, body: { ...body, settings: { tags: nested(100) } } },
  };
  for (const [what, value] of Object.entries(bad)) test(`${what} is refused`, () => refuses(() => decodeOps([value])));

  test('a body that is not there, or one more, is refused', () => {
    const ops = [{ op, body: 3 }];
    refuses(() => opsFrame.decode(encodeFrame({ kind: 'page', ops }, [Buffer.from('ab')])));
    refuses(() => opsFrame.decode(encodeFrame({ kind: 'page', ops }, [Buffer.from('abcd')])));
    refuses(() => opsFrame.decode(encodeFrame({ kind: 'page', ops: [{ op, body: 2 ** 32 }] })));
  });

  test('a head of more values than any message has is refused before it is parsed', () => {
    refuses(() => opsFrame.decode(encodeFrame({ kind: 'end', more: Array.from({ length: 1_000_000 }, () => ({})) })));
  });

  test('a piece past the end of its chunk is refused', () => {
    refuses(() => chunksFrame.decode(chunksFrame.encode({ ...piece, offset: 6 })));
  });
});

function nested(depth: number): Json {
  return depth === 0 ? 1 : [nested(depth - 1)];
}

describe('versions', () => {
  test('the highest common one is spoken', () => {
    assert.equal(negotiate({ min: 1, max: 3 }, { min: 2, max: 5 }), 3);
    assert.equal(negotiate({ min: 2, max: 5 }, { min: 1, max: 3 }), 3);
    assert.equal(negotiate({ min: 1, max: 1 }, { min: 1, max: 9 }), 1);
  });

  test('none in common is NotSupported, with both ranges', () => {
    const none = (error: unknown): boolean => isSkerryError(error, 'NotSupported') && 'theirs' in error.details;
    assert.throws(() => negotiate({ min: 3, max: 4 }, { min: 1, max: 2 }), none);
    assert.throws(() => negotiate({ min: 1, max: 2 }, { min: 3, max: 4 }), none);
    assert.throws(() => requireVersion(99), none);
  });
});
