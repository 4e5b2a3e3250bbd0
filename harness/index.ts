/** Public surface of the harness: the conformance kits for plugin authors and the simulated disk they may run on. */
export { authConformance } from './conformance/auth.ts';
export type { AuthKitOptions, AuthWorld } from './conformance/auth.ts';
export { chunkStoreConformance } from './conformance/chunk-store.ts';
export type { ChunkStoreKitOptions } from './conformance/chunk-store.ts';
export { conflictResolverConformance } from './conformance/conflict-resolver.ts';
export type { ConflictResolverKitOptions } from './conformance/conflict-resolver.ts';
export { metaStoreConformance } from './conformance/meta-store.ts';
export { collectTests, runTests } from './conformance/runner.ts';
export type { CollectedTest, Fixture, KitOptions, TestFunction, TestOutcome } from './conformance/runner.ts';
export { WEIRD_KEYS, WEIRD_OBJECT_KEYS } from './conformance/weird-keys.ts';
export { SimDisk } from './sim/disk.ts';
export type { DiskFault, DiskOperation, SimDiskOptions } from './sim/disk.ts';
