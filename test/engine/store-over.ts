/** A meta-store with some of its methods replaced, to look at or to interrupt what is done with it. */
import type { MetaStore } from '../../core/contracts/index.ts';

export function storeOver(store: MetaStore, replaced: Partial<MetaStore>): MetaStore {
  return {
    open: () => store.open(),
    close: () => store.close(),
    get: (keys) => store.get(keys),
    scan: (range) => store.scan(range),
    snapshot: () => store.snapshot(),
    check: () => store.check(),
    transact: (reads, decide) => store.transact(reads, decide),
    ...replaced,
  };
}
