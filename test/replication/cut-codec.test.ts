/** Snapshots on the wire: every entity comes back as it was, and nothing that a peer makes up gets past the checks. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as fc from 'fast-check';

import { isSkerryError, type Json, type Stamp } from '../../core/contracts/index.ts';
import { positionOf, readEntities, type CutEntity } from '../../core/engine/cut-entities.ts';
import { openCut, type CutPage } from '../../core/engine/snapshot.ts';
import * as codec from '../../core/replication/codec-cuts.ts';
import { checkPage, type PageBounds } from '../../core/replication/cut-checks.ts';
import * as turns from '../../core/replication/turned-protocol.ts';
import { decodeFrame, encodeFrame } from '../../core/replication/frames.ts';
import { bucketHistory, bucketSteps } from '../engine/bucket-histories.ts';
import { spread } from '../engine/cut-support.ts';
import { history, steps } from '../engine/histories.ts';
import { lockHistory, lockSteps } from '../engine/lock-histories.ts';
import { storeAfter } from '../engine/support.ts';

const VECTOR = { 'waw.0123456789abcdef': 9 };
const HLC = '018c000000000000';
const STAMP: Stamp = `${HLC}!waw!0123456789abcdef!0000000003`;
const HASH = `sha256:${'ab'.repeat(32)}`;
const BOUNDS: PageBounds = { after: undefined, vector: VECTOR, hlc: HLC };

const refuses = (what: () => unknown): void =>
  assert.throws(what, (error) => isSkerryError(error, 'InvalidArgument') && !(error.cause instanceof TypeError));

const take = (page: unknown, bounds = BOUNDS): CutPage => {
  const bytes = encodeFrame(page as object);
  const decoded = codec.cutPageFrame.decode(bytes);
  checkPage(decoded, bytes.length, bounds);
  return decoded;
};

const version = {
  stamp: STAMP,
  deps: { 'waw.0123456789abcdef': 2 },
  owner: 'o',
  modifiedAtMs: 5,
  content: {
    size: 3,
    etag: 'e',
    manifest: [{ hash: HASH, length: 3 }],
    headers: {},
    metadata: {},
    storageClass: 'STANDARD',
  },
};
const entity = { kind: 'version', bucket: 'bucket', key: 'k', version, live: true, seen: false };
const register = { kind: 'register', of: 'policy', id: 'p', register: { value: null, stamp: STAMP } };
const bucket = { kind: 'bucket', bucket: 'bucket', record: { owner: 'o', createdAtMs: 1, stamp: STAMP, settings: {} } };
const removed = { kind: 'tombstone', bucket: 'bucket', key: 'k', target: null, tombstone: { stamp: STAMP, deps: {} } };

describe('pages', () => {
  test('what sites really hold comes back as it was, and is in order', async () => {
    const plan = fc.oneof(
      steps(50).map((given) => async () => spread(history(given), ['k', 'a\0b', 'ä'])),
      bucketSteps(50).map((given) => () => bucketHistory(given)),
      lockSteps(50).map((given) => () => lockHistory(given)),
    );
    const kinds = new Set<string>();
    await fc.assert(
      fc.asyncProperty(plan, fc.integer({ min: 1, max: 7 }), async (write, maxEntities) => {
        const store = await storeAfter(await write());
        await using pinned = await openCut(store);
        const { vector, hlc } = pinned.cut;
        let after: string | undefined;
        do {
          const page = await pinned.page(after, { maxEntities, maxBytes: 100_000 });
          assert.deepEqual(take(page, { after, vector, hlc }), JSON.parse(JSON.stringify(page)));
          for (const one of page.entities)
            kinds.add(`${one.kind} ${one.kind === 'tombstone' && one.tombstone.kept ? 'kept' : ''}`);
          after = page.to;
        } while (after !== undefined);
      }),
      { seed: 3, numRuns: 120 },
    );
    assert.deepEqual([...kinds].toSorted(), ['bucket ', 'register ', 'tombstone ', 'tombstone kept', 'version ']);
  });

  const later = '018c000000000001!waw!0123456789abcdef!0000000003';
  const unseen = `${HLC}!waw!0123456789abcdef!000000000a`;
  const at = (one: object): string => positionOf(one as CutEntity).toString('base64url');
  const pages: Readonly<Record<string, unknown>> = {
    'a version with bytes that are somewhere here': [{ ...entity, version: { ...version, local: { locator: '0' } } }],
    'a version with what readers are to see': [{ ...entity, version: { ...version, shadow: {} } }],
    'a version with a count of conflicts': [{ ...entity, version: { ...version, conflicts: 1 } }],
    'a version without content that is no marker': [{ ...entity, version: { ...version, content: undefined } }],
    'a version that skips its predecessor': [{ ...entity, version: { ...version, deps: {} } }],
    'a chunk hash that is a path': [
      {
        ...entity,
        version: { ...version, content: { ...version.content, manifest: [{ hash: '../../x', length: 3 }] } },
      },
    ],
    'a bucket that is a path': [{ ...entity, bucket: '../x' }],
    'a version of an op that is not covered': [{ ...entity, version: { ...version, stamp: unseen } }],
    'a setting of an op that is not covered': [
      { ...entity, version: { ...version, settings: { tags: { value: 1, stamp: unseen } } } },
    ],
    'a lock of the future': [{ ...entity, version: { ...version, locks: [{ stamp: later }] } }],
    'a register of the future': [{ ...register, register: { value: 1, stamp: later } }],
    'a register without a value': [{ ...register, register: { stamp: STAMP } }],
    'a bucket whose creation is not covered': [
      { ...bucket, record: { ...bucket.record, creations: [{ stamp: unseen, owner: 'o', createdAtMs: 1 }] } },
    ],
    'a removal of an op that is not covered': [{ ...removed, tombstone: { stamp: unseen, deps: {} } }],
    'a kept version with bytes that are somewhere here': [
      { ...removed, target: STAMP, tombstone: { stamp: STAMP, deps: {}, kept: { ...version, local: {} } } },
    ],
    'a kind that is none': [{ ...entity, kind: 'chunk' }],
    'entities out of order': [entity, bucket],
    'an entity twice': [bucket, bucket],
    'an entity of 1 MiB': [{ ...register, register: { value: 'x'.repeat(1024 * 1024), stamp: STAMP } }],
    'no list': 7,
  };
  for (const [what, entities] of Object.entries(pages))
    test(`${what}: refused`, () => refuses(() => take({ entities })));

  test('a page that goes back, or nowhere, is refused; one that goes on is not', () => {
    take({ entities: [bucket, removed, entity, register], to: at(register) });
    refuses(() => take({ entities: [bucket] }, { ...BOUNDS, after: at(bucket) }));
    refuses(() => take({ entities: [bucket], to: at(bucket) }, { ...BOUNDS, after: at(entity) }));
    refuses(() => take({ entities: [], to: at(entity) }));
    refuses(() => take({ entities: [entity], to: at(bucket) }));
    refuses(() => take({ entities: [entity], to: 'not base64url!' }));
    take({ entities: [] });
  });

  test('any value in any place is taken or refused with InvalidArgument, never a failure of ours', () => {
    const sound: readonly Json[] = JSON.parse(JSON.stringify([bucket, removed, entity, register])) as Json[];
    const property = fc.property(
      fc.nat(3),
      fc.array(fc.nat(9), { maxLength: 6 }),
      fc.jsonValue(),
      (which, path, value) => {
        const page = { entities: [planted(sound[which] as Json, path, value as Json)] };
        try {
          take(page);
        } catch (error) {
          assert.ok(isSkerryError(error, 'InvalidArgument') && !(error.cause instanceof TypeError), String(error));
        }
      },
    );
    fc.assert(property, { seed: 21, numRuns: 3000 });
  });

  test('a position that no snapshot has is read from all the same: it cannot hurt the site that serves', async () => {
    const store = await storeAfter(spread(history(fc.sample(steps(30), { seed: 5, numRuns: 1 })[0] ?? []), ['k', 'a']));
    const property = fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 60 }), async (position) => {
      await using snapshot = await store.snapshot();
      for await (const one of readEntities(snapshot, position))
        assert.ok(Buffer.compare(positionOf(one), position) > 0);
    });
    await fc.assert(property, { seed: 22, numRuns: 500 });
  });
});

/** `given` with another value at a place inside. */
function planted(given: Json, [step, ...path]: readonly number[], value: Json): Json {
  if (step === undefined || typeof given !== 'object' || given === null) return value;
  const names = Object.keys(given);
  const name = names[step % Math.max(1, names.length)];
  if (name === undefined) return value;
  const inner = (given as Readonly<Record<string, Json>>)[name] as Json;
  if (Array.isArray(given)) return given.with(Number(name), planted(inner, path, value));
  return { ...(given as Readonly<Record<string, Json>>), [name]: planted(inner, path, value) };
}

describe('requests and answers', () => {
  const ID = '0123456789abcdef';
  const samples = [
    [codec.cutRequest, { protocol: 1, have: VECTOR, resume: ID, half: true }],
    [codec.cutAnswer, { cutId: ID, hlc: HLC, vector: VECTOR, trimmed: {}, half: VECTOR }],
    [codec.cutPagesRequest, { protocol: 1, cutId: ID, after: 'AQ', maxEntities: 3, maxBytes: 9 }],
    [codec.cutReleaseRequest, { protocol: 1, cutId: ID }],
    [codec.cutReleaseAnswer, { released: true }],
    [codec.leaseRequest, { protocol: 1, have: VECTOR }],
    [codec.leaseAnswer, { ttlMs: 1 }],
  ] as const;

  test('come back as they were; what is cut short or has bytes too many is refused', () => {
    for (const [{ encode, decode }, message] of samples) {
      const bytes = (encode as (given: object) => Uint8Array)(message);
      assert.deepEqual(decode(bytes), message);
      for (let length = 0; length < bytes.length; length++) refuses(() => decode(bytes.subarray(0, length)));
      refuses(() => decode(Buffer.concat([bytes, Buffer.from('!')])));
    }
  });

  test('any value in any field is taken whole or refused', () => {
    for (const [{ encode, decode }, message] of samples) {
      const { head } = decodeFrame((encode as (given: object) => Uint8Array)(message));
      const property = fc.property(fc.constantFrom(...Object.keys(message)), fc.jsonValue(), (field, value) => {
        try {
          decode(encodeFrame({ ...(head as object), [field]: value }));
        } catch (error) {
          assert.ok(isSkerryError(error, 'InvalidArgument'), String(error));
        }
      });
      fc.assert(property, { seed: 23, numRuns: 100 });
    }
    refuses(() =>
      codec.cutPagesRequest.decode(encodeFrame({ protocol: 1, cutId: '../x', maxEntities: 3, maxBytes: 9 })),
    );
    refuses(() => codec.cutPagesRequest.decode(encodeFrame({ protocol: 1, cutId: ID, maxEntities: 1e9, maxBytes: 9 })));
  });
});

describe('calls over a link that is lent', () => {
  const error = { code: 'NotFound', message: 'gone', retryable: false, details: { cutId: 'x' } } as const;
  const bytes = Buffer.from('abc');
  const turned = [
    { protocol: 1, id: 1, kind: 'frame', bytes },
    { protocol: 1, id: 1, kind: 'end' },
    { protocol: 1, id: 1, kind: 'error', error },
  ] as const;
  const frames = [
    { kind: 'call', id: 2, name: 'cut', body: bytes },
    { kind: 'cancel', id: 2 },
    { kind: 'busy' },
  ] as const;

  test('come back as they were; what is cut short is refused', () => {
    for (const message of turned)
      assert.deepEqual(turns.turnedRequest.decode(turns.turnedRequest.encode(message)), message);
    for (const message of frames) assert.deepEqual(turns.turnFrame.decode(turns.turnFrame.encode(message)), message);
    const request = { protocol: 1, vector: VECTOR };
    assert.deepEqual(turns.turnRequest.decode(turns.turnRequest.encode(request)), request);
    assert.deepEqual(turns.turnedAnswer.decode(turns.turnedAnswer.encode({ taken: true })), { taken: true });
    const encoded = turns.turnedRequest.encode(turned[2]);
    for (let length = 0; length < encoded.length; length++)
      refuses(() => turns.turnedRequest.decode(encoded.subarray(0, length)));
  });

  test('with another code, name, id or kind are refused', () => {
    const head = (message: object): Uint8Array => encodeFrame({ protocol: 1, id: 1, ...message });
    refuses(() => turns.turnedRequest.decode(head({ kind: 'error', error: { ...error, code: 'Mine' } })));
    refuses(() =>
      turns.turnedRequest.decode(head({ kind: 'error', error: { ...error, message: 'x'.repeat(20_000) } })),
    );
    refuses(() => turns.turnedRequest.decode(head({ kind: 'more' })));
    refuses(() => turns.turnedRequest.decode(encodeFrame({ protocol: 1, id: 1, kind: 'end' }, [bytes])));
    refuses(() => turns.turnFrame.decode(encodeFrame({ kind: 'call', id: 0, name: 'cut' })));
    refuses(() => turns.turnFrame.decode(encodeFrame({ kind: 'call', id: 1, name: '../cut' })));
    refuses(() => turns.turnFrame.decode(encodeFrame({ kind: 'busy' }, [bytes])));
  });
});
