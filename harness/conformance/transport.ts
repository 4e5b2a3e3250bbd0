/**
 * Conformance kit of transports: every promise of core/contracts/transport.ts, between three sites of one process.
 *
 *     import { test } from 'node:test';
 *     import { transportConformance } from 'skerry/conformance/transport';
 *     transportConformance({
 *       test,
 *       supports: plugin.supports,
 *       create: async () => ({ transports: [make(), make(), make()], cleanup }),
 *     });
 */
import { registerEnds } from './transport/ends.ts';
import { registerFailures } from './transport/failures.ts';
import { toKit, type TransportKitOptions } from './transport/kit.ts';
import { registerLife } from './transport/life.ts';
import { registerStreams } from './transport/streams.ts';

export type { TransportKitOptions, TransportNetwork } from './transport/kit.ts';

/** Registers every test of the kit with `test`; runs nothing itself. */
export function transportConformance(options: TransportKitOptions): void {
  const kit = toKit(options);
  registerStreams(kit);
  registerEnds(kit);
  registerFailures(kit);
  registerLife(kit);
}
