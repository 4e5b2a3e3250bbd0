/** Sites in miniature for engine tests: ops made by hand, applied through the one door to a meta-store in memory. */
import {
  META_SPACES,
  type Locator,
  type MetaSpace,
  type MetaStore,
  type Op,
  type OpBody,
  type SiteId,
  type Stamp,
  type VersionContent,
  type VersionPut,
} from '../../core/contracts/index.ts';
import { newEffects, type ApplyLocal } from '../../core/engine/apply-context.ts';
import { KeyState } from '../../core/engine/key-state.ts';
import { applyOp } from '../../core/engine/apply-op.ts';
import { HLC_ZERO, mergeHlc, nextHlc, raiseEpoch } from '../../core/engine/hlc.ts';
import { clockKey } from '../../core/engine/keys.ts';
import type { ClockRecord } from '../../core/engine/records.ts';
import { makeStamp, originOf, stampHlc } from '../../core/engine/stamp.ts';
import { transact } from '../../core/engine/txn.ts';
import { EMPTY_VECTOR, advanceVector, seqOf } from '../../core/engine/vector.ts';
import { MemoryMetaStore } from '../../plugins/meta-memory/store.ts';

export const INCARNATION = '0123456789abcdef';

export async function memoryStore(): Promise<MetaStore> {
  const store = new MemoryMetaStore();
  await store.open();
  return store;
}

export function content(label: string): VersionContent {
  const hash = `sha256:${Buffer.from(label).toString('hex').padEnd(64, '0')}`;
  return {
    size: label.length,
    etag: label,
    manifest: [{ hash, length: label.length }],
    headers: {},
    metadata: {},
    storageClass: 'STANDARD',
  };
}

/** What an op says that writes a null version of `key` in `bkt`; its content is its key. */
export function versionPut(key: string, fields: Partial<VersionPut> = {}): VersionPut {
  return {
    type: 'version.put',
    bucket: 'bkt',
    key,
    nullVersion: true,
    marker: false,
    owner: 'o',
    modifiedAtMs: 1,
    content: content(key),
    ...fields,
  };
}

/** A site that only knows what it wrote and what it was shown: makes ops with true stamps and deps. */
export class Author {
  readonly #site: SiteId;
  #clock: ClockRecord = { hlc: HLC_ZERO, vector: EMPTY_VECTOR };

  constructor(site: SiteId) {
    this.#site = site;
  }

  write<B extends OpBody>(body: B, wallMs = 0): Op<B> {
    const origin = originOf(this.#site, INCARNATION);
    const seq = seqOf(this.#clock.vector, origin) + 1;
    const hlc = nextHlc(this.#clock.hlc, wallMs);
    const op = { dot: { origin, seq }, stamp: makeStamp(hlc, origin, seq), deps: this.#clock.vector, body };
    this.see(op);
    return op;
  }

  /** What a promotion does to the clock of the site that takes it. */
  raiseEpoch(): void {
    this.#clock = { ...this.#clock, hlc: raiseEpoch(this.#clock.hlc) };
  }

  see(op: Op): void {
    this.#clock = {
      hlc: mergeHlc(this.#clock.hlc, stampHlc(op.stamp)),
      vector: advanceVector(this.#clock.vector, op.dot),
    };
  }

  has(op: Op): boolean {
    return seqOf(this.#clock.vector, op.dot.origin) >= op.dot.seq;
  }

  mayApply(op: Op): boolean {
    return !this.has(op) && Object.entries(op.deps).every(([origin, seq]) => seqOf(this.#clock.vector, origin) >= seq);
  }
}

/** Applies ops in the given order, each in a transaction of its own. */
export async function applyInOrder(
  store: MetaStore,
  ops: readonly Op[],
  localOf: (op: Op) => ApplyLocal = () => ({}),
): Promise<readonly Locator[]> {
  const freed: Locator[] = [];
  for (const op of ops) {
    const effects = newEffects();
    await transact(store, { keys: [clockKey] }, (txn) => {
      effects.reset(0);
      const clock = txn.record<ClockRecord>(clockKey) ?? { hlc: HLC_ZERO, vector: EMPTY_VECTOR };
      applyOp({ txn, effects, newest: stampHlc(op.stamp) > clock.hlc }, op, localOf(op));
      txn.put(clockKey, { hlc: mergeHlc(clock.hlc, stampHlc(op.stamp)), vector: advanceVector(clock.vector, op.dot) });
    });
    freed.push(...effects.freed);
  }
  return freed;
}

export async function storeAfter(ops: readonly Op[]): Promise<MetaStore> {
  const store = await memoryStore();
  await applyInOrder(store, ops);
  return store;
}

/** The bytes of a pending version have arrived. */
export async function completeVersion(
  store: MetaStore,
  bucket: string,
  key: string,
  stamp: Stamp,
): Promise<readonly Locator[]> {
  const effects = newEffects();
  await transact(store, {}, (txn) => {
    effects.reset(0);
    const state = new KeyState({ txn, effects, newest: false }, bucket, key);
    state.complete(stamp);
    state.save();
  });
  return effects.freed;
}

const OF_THE_SITE: readonly MetaSpace[] = ['queues', 'site', 'chunks', 'refs', 'oplog', 'peers', 'uploads', 'parts'];
const REPLICATED = META_SPACES.filter((space) => !OF_THE_SITE.includes(space));

/** Everything that replicates, as text: two sites with equal vectors must print the same. */
export async function dump(store: MetaStore): Promise<string> {
  const lines: string[] = [];
  for (const space of REPLICATED) {
    for (const { key, value } of await store.scan({ space, limit: 10_000 })) {
      const text = Buffer.from(value).toString(space === 'digest' ? 'hex' : 'utf8');
      lines.push(`${space} ${Buffer.from(key).toString('latin1')} = ${space === 'digest' ? text : sortedJson(text)}`);
    }
  }
  return lines.join('\n');
}

/** What a site knows for itself: where bytes lie, which are missing, what is shown meanwhile. */
const LOCAL_FIELDS = ['local', 'shadow'];

function sortedJson(text: string): string {
  if (text === '') return '';
  const sort = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sort);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(([name]) => !LOCAL_FIELDS.includes(name))
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, inner]) => [name, sort(inner)]),
    );
  };
  return JSON.stringify(sort(JSON.parse(text)));
}
