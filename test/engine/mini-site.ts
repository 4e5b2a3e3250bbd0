/** Sites with rows of their own: they refuse what a site would refuse, so that histories are those that can happen. */
import type { MetaStore, Op, OpBody, SiteId } from '../../core/contracts/index.ts';
import { bucketKey, tupleRange, headPrefix, versionBucketPrefix } from '../../core/engine/keys.ts';
import { decodeRecord, type BucketRecord, type HeadRecord, type VersionRecord } from '../../core/engine/records.ts';
import { Author, applyInOrder, memoryStore } from './support.ts';

export class MiniSite {
  readonly #author: Author;
  readonly store: MetaStore;

  private constructor(site: SiteId, store: MetaStore) {
    this.#author = new Author(site);
    this.store = store;
  }

  static async open(site: SiteId): Promise<MiniSite> {
    return new MiniSite(site, await memoryStore());
  }

  async write(body: OpBody, wallMs = 0): Promise<Op> {
    const op = this.#author.write(body, wallMs);
    await applyInOrder(this.store, [op]);
    return op;
  }

  /** Takes what the other has and this one lacks. */
  async pull(ops: readonly Op[], from: MiniSite): Promise<void> {
    const news = ops.filter((op) => from.#author.has(op) && !this.#author.has(op));
    for (const op of news) this.#author.see(op);
    await applyInOrder(this.store, news);
  }

  async bucket(name: string): Promise<BucketRecord | undefined> {
    const [row] = await this.store.get([bucketKey(name)]);
    return row && decodeRecord<BucketRecord>(row);
  }

  async versions(bucket: string): Promise<readonly VersionRecord[]> {
    const heads = await this.store.scan({ space: 'heads', ...tupleRange(headPrefix(bucket)), limit: 1000 });
    const older = await this.store.scan({ space: 'versions', ...tupleRange(versionBucketPrefix(bucket)), limit: 1000 });
    return [
      ...heads.map(({ value }) => decodeRecord<HeadRecord>(value)),
      ...older.map(({ value }) => decodeRecord<VersionRecord>(value)),
    ];
  }
}

/** Some order in which a site may receive the ops: each after all that it depends on. */
export function someOrder(ops: readonly Op[], picks: Iterable<number>): readonly Op[] {
  const author = new Author('observer');
  const order: Op[] = [];
  for (const pick of picks) {
    const ready = ops.filter((op) => author.mayApply(op));
    const next = ready[pick % Math.max(1, ready.length)];
    if (!next) break;
    author.see(next);
    order.push(next);
  }
  return order;
}

/** Every order in which a site may receive the ops. */
export function* causalOrders(ops: readonly Op[], applied: readonly Op[] = []): Generator<readonly Op[]> {
  if (applied.length === ops.length) yield applied;
  const author = new Author('observer');
  for (const op of applied) author.see(op);
  for (const op of ops) if (author.mayApply(op)) yield* causalOrders(ops, [...applied, op]);
}
