/** Who is let in, by what it says of itself (decision 27). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { Origin } from '../../core/contracts/index.ts';
import { formatHlc } from '../../core/engine/hlc.ts';
import type { MemberRegister } from '../../core/engine/members.ts';
import { makeStamp } from '../../core/engine/stamp.ts';
import type { Watermark } from '../../core/replication/protocol.ts';
import { refusal, type Applicant, type Standing } from '../../core/replication/admission.ts';

const NOW_MS = 1_700_000_000_000;
const ADMIT_MS = 60_000;
const [OWN, BER, LON, LON_BEFORE] = [
  'waw.0000000000000001',
  'ber.0000000000000001',
  'lon.0000000000000002',
  'lon.0000000000000001',
];

/** Recorded by the first op of each. */
const register = (origin: Origin, isMember = true): MemberRegister => ({
  origin,
  isMember,
  stamp: makeStamp(formatHlc(NOW_MS - 1000, 0), isMember ? origin : OWN, isMember ? 1 : 2),
});

const standing = (...registers: readonly MemberRegister[]): Standing => ({
  origin: OWN,
  vector: { [OWN]: 5, [BER]: 3, [LON_BEFORE]: 4 },
  hlc: formatHlc(NOW_MS, 0),
  registers: [register(OWN), ...registers],
  admitMs: ADMIT_MS,
  lastReport: (origin) => reports.find((report) => report.origin === origin),
});

/** ber has heard of us. */
const reports: readonly Watermark[] = [
  { origin: BER, hlc: formatHlc(NOW_MS - 1, 0), vector: { [OWN]: 1 } },
  { origin: LON_BEFORE, hlc: formatHlc(NOW_MS - 10 * ADMIT_MS, 0), vector: {} },
];

const lon = (given: Partial<Applicant> = {}): Applicant => ({
  site: 'lon',
  origin: LON,
  vector: { [LON]: 3 },
  ...given,
});
const aged = (ms: number, vector: Applicant['vector'] = { [LON]: 3 }): Applicant =>
  lon({ vector, firstOpMs: Object.fromEntries(Object.keys(vector).map((origin) => [origin, NOW_MS - ms])) });

const reasonOf = (own: Standing, other: Applicant): unknown => refusal(own, other)?.details['reason'];

describe('admission', () => {
  const cluster = standing(register(BER));

  test('a member comes in whatever it brings, a removed one never', () => {
    assert.equal(refusal(standing(register(BER), register(LON)), aged(1000 * ADMIT_MS)), undefined);
    assert.equal(reasonOf(standing(register(BER), register(LON, false)), aged(0)), 'evicted');
    assert.equal(reasonOf(standing(register(LON, false)), lon({ vector: {} })), 'evicted', 'alone too');
    const own = standing(register(LON, false));
    assert.deepEqual(refusal(own, lon())?.details['vector'], own.vector);
  });

  test('a newcomer comes in empty, or with what is young enough, to the millisecond', () => {
    assert.equal(refusal(cluster, lon({ vector: {} })), undefined);
    assert.equal(refusal(cluster, aged(ADMIT_MS)), undefined);
    assert.equal(reasonOf(cluster, aged(ADMIT_MS + 1)), 'not-a-member');
    assert.equal(reasonOf(cluster, lon()), 'not-a-member', 'it no longer knows how old its data is');
    assert.match(String(refusal(cluster, lon())?.details['hint']), /empty data directory/);
  });

  test('what it brings of others counts, what we have or a member wrote does not', () => {
    const old = 1000 * ADMIT_MS;
    assert.equal(reasonOf(cluster, lon({ vector: { 'nyc.0000000000000001': 1 } })), 'not-a-member');
    assert.equal(refusal(cluster, aged(old, { [OWN]: 5, [BER]: 9 })), undefined);
    const wasRemoved = standing(register(BER), register(LON_BEFORE, false));
    assert.equal(refusal(wasRemoved, aged(old, { [LON_BEFORE]: 4 })), undefined);
    assert.equal(reasonOf(wasRemoved, aged(old, { [LON_BEFORE]: 5 })), 'not-a-member', 'what it had not shipped');
  });

  test('where this site is new itself anybody is let in, and so is who was let in before', () => {
    assert.equal(refusal(standing(), lon()), undefined, 'two that were alone');
    assert.equal(refusal(standing(register(BER, false)), lon()), undefined, 'all others were removed');
    const unheard = [{ origin: BER, hlc: formatHlc(NOW_MS, 0), vector: { [BER]: 3 } }];
    const lastReport = (of: readonly Watermark[]) => (origin: Origin) => of.find((report) => report.origin === origin);
    const joining = { ...cluster, lastReport: lastReport(unheard) };
    assert.equal(refusal(joining, lon({ vector: { [LON]: 3, [BER]: 1 } })), undefined, 'it knows ber, and ber not us');
    assert.equal(reasonOf(joining, lon()), 'not-a-member', 'it knows nobody');
    const before = [...reports, { origin: LON, hlc: formatHlc(NOW_MS, 0), vector: {} }];
    assert.equal(refusal({ ...cluster, lastReport: lastReport(before) }, lon()), undefined);
    const copied = { ...lon(), vector: { [LON]: 3, [BER]: 3, [OWN]: 5 } };
    assert.equal(reasonOf(cluster, copied), 'not-a-member', 'an old copy of a member knows us all, and is no member');
  });

  test('the next incarnation of a member may be as old as the last report of the one before', () => {
    const withGhost = standing(register(BER), register(LON_BEFORE));
    assert.equal(refusal(withGhost, aged(10 * ADMIT_MS)), undefined);
    assert.equal(reasonOf(withGhost, aged(10 * ADMIT_MS + 1)), 'not-a-member');
    assert.equal(refusal({ ...withGhost, lastReport: () => undefined }, aged(1e9)), undefined, 'it never reported');
  });
});
