/**
 * The conformance kit of meta-stores: every promise of core/contracts/meta-store.ts, against any plugin.
 *
 *     import { test } from 'node:test';
 *     import { metaStoreConformance } from 'skerry/conformance/meta-store';
 *     metaStoreConformance({
 *       test,
 *       supports: plugin.supports,
 *       create: async () => ({ port: plugin.create(deps, options), again: () => plugin.create(deps, options), cleanup }),
 *     });
 */
import { registerConcurrency } from './meta-store/concurrency.ts';
import { toKit, type MetaStoreKitOptions } from './meta-store/kit.ts';
import { registerLife } from './meta-store/life.ts';
import { registerOwnership } from './meta-store/ownership.ts';
import { registerReads } from './meta-store/reads.ts';
import { registerRefusals } from './meta-store/refusals.ts';
import { registerSnapshots } from './meta-store/snapshots.ts';
import { registerTransact } from './meta-store/transact.ts';

/** Registers every test of the kit with `test`; runs nothing itself. */
export function metaStoreConformance(options: MetaStoreKitOptions): void {
  const kit = toKit(options);
  registerReads(kit);
  registerRefusals(kit);
  registerTransact(kit);
  registerConcurrency(kit);
  registerOwnership(kit);
  registerSnapshots(kit);
  registerLife(kit);
}
