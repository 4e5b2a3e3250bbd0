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
  firstOpMs: {},
  hlc: formatHlc(NOW_MS, 0),
  registers: [register(OWN), ...registers],
  admitMs: ADMIT_MS,
  isReporting: true,
  lastReport: (origin) => (origin === LON_BEFORE ? REPORT : undefined),
});

const REPORT: Watermark = { origin: LON_BEFORE, hlc: formatHlc(NOW_MS - 10 * ADMIT_MS, 0), vector: {} };

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

  test('a member that has heard of others comes in whatever it brings, a removed one never', () => {
    const joined = standing(register(BER), register(LON));
    const old = 1000 * ADMIT_MS;
    for (const known of [BER, OWN])
      assert.equal(refusal(joined, aged(old, { [LON]: 3, nyc: 1, [known]: 1 })), undefined);
    assert.equal(refusal(joined, aged(old)), undefined, 'its own ops');
    const bridge = aged(old, { [LON]: 3, 'nyc.0000000000000001': 1 });
    assert.equal(reasonOf(joined, bridge), 'not-a-member', 'it has met a stranger before it met us');
    const carrying = aged(old, { [LON]: 3, [OWN]: 1, [LON_BEFORE]: 5 });
    const late: MemberRegister = { ...register(LON), stamp: makeStamp(formatHlc(NOW_MS, 0), LON, 1) };
    const removed = standing(register(BER), late, register(LON_BEFORE, false));
    assert.equal(reasonOf(removed, carrying), 'not-a-member', 'it let in who was removed');
    const sinceBefore: MemberRegister = { ...register(LON), stamp: makeStamp(formatHlc(NOW_MS - 2000, 0), LON, 1) };
    const before = standing(register(BER), sinceBefore, register(LON_BEFORE, false));
    assert.equal(refusal(before, carrying), undefined, 'and could, while stability waited for it');
    assert.equal(reasonOf(standing(register(BER), register(LON, false)), aged(0)), 'evicted');
    const own = standing(register(LON, false));
    assert.equal(reasonOf(own, lon({ vector: {} })), 'evicted', 'alone too');
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

  test('before this site has met others who knows all that it knows is let in, and not after', () => {
    assert.equal(refusal({ ...standing(), isReporting: false }, lon()), undefined, 'two that were alone');
    const joining = { ...cluster, isReporting: false };
    const knowing = lon({ vector: { [LON]: 3, [BER]: 3, [OWN]: 5 } });
    assert.equal(refusal(joining, knowing), undefined, 'it is new itself');
    assert.equal(reasonOf(joining, lon()), 'not-a-member', 'both are new');
    assert.equal(reasonOf(cluster, knowing), 'not-a-member', 'an old copy of a member knows all, and is no member');
    assert.equal(reasonOf(standing(register(BER, false)), lon()), 'not-a-member', 'what it forgot, ber may remember');
  });

  test('whatever it brings, while it lacks nothing that is old', () => {
    const young = { [OWN]: NOW_MS - ADMIT_MS, [BER]: NOW_MS - ADMIT_MS, [LON_BEFORE]: NOW_MS - ADMIT_MS };
    const [old, aMs] = [aged(1000 * ADMIT_MS), NOW_MS - ADMIT_MS - 1];
    assert.equal(refusal({ ...cluster, firstOpMs: young }, old), undefined, 'new sites that met before they met it');
    assert.equal(reasonOf({ ...cluster, firstOpMs: { ...young, [BER]: aMs } }, old), 'not-a-member');
    const having = aged(1000 * ADMIT_MS, { [LON]: 3, [BER]: 3 });
    assert.equal(refusal({ ...cluster, firstOpMs: { ...young, [BER]: aMs } }, having), undefined, 'it has what is old');
    const half = standing(register(BER), register('nyc.0000000000000001'));
    assert.equal(reasonOf({ ...half, firstOpMs: young }, old), 'not-a-member', 'a snapshot of who knows what');
  });

  test('the next incarnation of a member may be as old as the last report of the one before', () => {
    const withGhost = standing(register(BER), register(LON_BEFORE));
    assert.equal(refusal(withGhost, aged(10 * ADMIT_MS)), undefined);
    assert.equal(reasonOf(withGhost, aged(10 * ADMIT_MS + 1)), 'not-a-member');
    assert.equal(refusal({ ...withGhost, lastReport: () => undefined }, aged(1e9)), undefined, 'it never reported');
  });
});
