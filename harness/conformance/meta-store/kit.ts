/** What the files of the meta-store kit share: registration, generators and a few words for writing tests shortly. */
import assert from 'node:assert/strict';

import * as fc from 'fast-check';

import {
  type MetaDecision,
  type MetaKey,
  type MetaRange,
  type MetaReader,
  type MetaSpace,
  type MetaStore,
  type MetaStoreSupports,
  type MetaWrite,
} from '../../../core/contracts/index.ts';
import { withOpen, type Fixture, type KitOptions } from '../runner.ts';
import { WEIRD_KEYS } from '../weird-keys.ts';
import type { MetaModel } from './model.ts';

export type MetaStoreKitOptions = KitOptions<MetaStore, MetaStoreSupports>;
type OpenTest = (store: MetaStore, fixture: Fixture<MetaStore>) => Promise<void>;

export interface MetaStoreKit extends MetaStoreKitOptions {
  /** A test with a fresh open store. */
  readonly withStore: (title: string, body: OpenTest) => void;
  /** A property; every case gets a fresh open store. */
  readonly forAll: <T>(
    title: string,
    arbitrary: fc.Arbitrary<T>,
    body: (store: MetaStore, drawn: T) => Promise<void>,
  ) => void;
}

export function toKit(options: MetaStoreKitOptions): MetaStoreKit {
  const { test, create, seed = 1, runs = 30 } = options;
  return {
    ...options,
    withStore: (title, body) => test(title, () => withOpen(create, body)),
    forAll: (title, arbitrary, body) =>
      test(title, () =>
        fc.assert(
          fc.asyncProperty(arbitrary, (drawn) => withOpen(create, (store) => body(store, drawn))),
          { seed, numRuns: runs },
        ),
      ),
  };
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : new TextDecoder().decode(bytes);

/** A key, by default in `heads`. */
export const at = (key: string, space: MetaSpace = 'heads'): MetaKey => ({ space, key: utf8(key) });
export const put = (key: string, value: string, space: MetaSpace = 'heads'): MetaWrite => ({
  ...at(key, space),
  value: utf8(value),
});
export const remove = (key: string, space: MetaSpace = 'heads'): MetaWrite => ({ ...at(key, space), value: undefined });
export const all = (space: MetaSpace = 'heads'): MetaRange => ({ space, limit: 10_000 });

/** The decision to write, with a result for those who look at it. */
export const writing = (writes: readonly MetaWrite[]): (() => MetaDecision<undefined>) => {
  return () => ({ kind: 'write', writes, result: undefined });
};

export async function write(store: MetaStore, ...writes: readonly MetaWrite[]): Promise<void> {
  await store.transact({}, writing(writes));
}

export async function texts(reader: MetaReader, ...keys: readonly string[]): Promise<(string | undefined)[]> {
  return (await reader.get(keys.map((key) => at(key)))).map(text);
}

/** `key=value` of each row. */
export async function listing(reader: MetaReader, range: MetaRange = all()): Promise<string[]> {
  return (await reader.scan(range)).map(({ key, value }) => `${text(key)}=${text(value)}`);
}

const SOME_SPACES: readonly MetaSpace[] = ['heads', 'oplog', 'queues'];

/** Few different bytes, and those that tempt: so that keys collide, are prefixes of each other and cross sign bits. */
const tightKey = fc
  .array(fc.constantFrom(0x00, 0x01, 0x2f, 0x61, 0x7f, 0x80, 0xff), { minLength: 1, maxLength: 3 })
  .map((bytes) => Uint8Array.from(bytes));
export const anyBytesKey = fc.oneof(
  { weight: 4, arbitrary: tightKey },
  { weight: 1, arbitrary: fc.constantFrom(...WEIRD_KEYS).map((key) => key.slice()) },
);
const anySpace = fc.constantFrom(...SOME_SPACES);
export const anyKey: fc.Arbitrary<MetaKey> = fc.record({ space: anySpace, key: anyBytesKey });
const anyValue = fc.uint8Array({ maxLength: 40 });

export const anyWrite: fc.Arbitrary<MetaWrite> = fc.record({
  space: anySpace,
  key: anyBytesKey,
  value: fc.option(anyValue, { nil: undefined, freq: 4 }),
});
export const anyWrites = fc.array(anyWrite, { maxLength: 12 });

export const anyRange: fc.Arbitrary<MetaRange> = fc.record(
  {
    space: anySpace,
    limit: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constant(10_000)),
    from: anyBytesKey,
    to: anyBytesKey,
    reverse: fc.boolean(),
  },
  { requiredKeys: ['space', 'limit'] },
);

/** Byte strings compare as bytes whatever class they are (a Buffer is fine). */
export function same(actual: unknown, expected: unknown, message: string): void {
  assert.deepEqual(plain(actual), plain(expected), message);
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}

/** The reader shows exactly what the model holds, in every space that the generators write to. */
export async function sameAsModel(reader: MetaReader, model: MetaModel): Promise<void> {
  for (const space of SOME_SPACES) {
    same(await reader.scan(all(space)), model.scan(all(space)), `the rows of ${space} differ from the model's`);
  }
}
