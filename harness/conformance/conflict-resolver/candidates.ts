/** Sets of versions and removals of one key that did not see each other, close enough together that every tie-break is met. */
import * as fc from 'fast-check';

import type { ConflictCandidate, Op, VersionPut, VersionRemove } from '../../../core/contracts/index.ts';

const SITES = ['a', 'a-b', 'b', 'site-10', 'site-9'] as const;
const INCARNATIONS = ['0000000000000000', '00000000000000ff', 'ffffffffffffffff'] as const;

/** Few different values of each part: equal clocks, sites and incarnations must occur together. */
const identity = fc.record({
  wallMs: fc.constantFrom(0, 1, 1_700_000_000_000, 0xffff_ffff_ffff),
  counter: fc.constantFrom(0, 1, 0xffff),
  site: fc.constantFrom(...SITES),
  incarnation: fc.constantFrom(...INCARNATIONS),
  seq: fc.constantFrom(1, 2, 9, 10, 0xff_ffff_ffff),
});

type Identity = typeof identity extends fc.Arbitrary<infer T> ? T : never;

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

function opOf<B extends VersionPut | VersionRemove>(
  { wallMs, counter, site, incarnation, seq }: Identity,
  body: B,
): Op<B> {
  const stamp = `${hex(wallMs, 12)}${hex(counter, 4)}!${site}!${incarnation}!${hex(seq, 10)}`;
  return { dot: { origin: `${site}.${incarnation}`, seq }, stamp, deps: {}, body };
}

const put = fc
  .record({
    nullVersion: fc.boolean(),
    marker: fc.boolean(),
    size: fc.nat({ max: 9 }),
    modifiedAtMs: fc.nat(),
    owner: fc.constantFrom('x', 'y'),
  })
  .map(({ size, marker, ...rest }): VersionPut => {
    const content = { size, etag: hex(size, 32), manifest: [], headers: {}, metadata: {}, storageClass: 'STANDARD' };
    return { type: 'version.put', bucket: 'bucket', key: 'key', marker, ...rest, ...(marker ? {} : { content }) };
  });

const remove = fc
  .constantFrom<VersionRemove['target']>(null, '0000000000000001!a!0000000000000000!0000000001')
  .map((target): VersionRemove => ({ type: 'version.remove', bucket: 'bucket', key: 'key', target }));

const candidate: fc.Arbitrary<ConflictCandidate> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(identity, put).map(([who, body]) => opOf(who, body)) },
  { weight: 1, arbitrary: fc.tuple(identity, remove).map(([who, body]) => opOf(who, body)) },
);

/** At least one candidate; no two with the same stamp. */
export const candidateSets: fc.Arbitrary<readonly ConflictCandidate[]> = fc.uniqueArray(candidate, {
  selector: ({ stamp }) => stamp,
  minLength: 1,
  maxLength: 7,
});

/** Any valid argument. */
export function someCandidates(): readonly ConflictCandidate[] {
  return fc.sample(candidateSets, { seed: 1, numRuns: 1 })[0] ?? [];
}
