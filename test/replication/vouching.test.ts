/** Rule 11: what a site whose clock jumped may be told by peers and by operators, on a clock that the test holds. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { ReplicationFact } from '../../core/replication/facts.ts';
import { isSameTime } from '../../core/replication/handshake.ts';
import { Callers } from '../../core/replication/callers.ts';
import { DEFAULT_OPTIONS } from '../../core/replication/options.ts';
import { noise } from '../engine/whole-site.ts';
import { engines } from './fixtures/engine-cluster.ts';
import { drive, type EngineSite } from './fixtures/engine-site.ts';
import { equalEverywhere, settled } from './fixtures/settling.ts';

describe('a peer vouches for a clock', () => {
  test('that is at most a quarter of the tolerated drift away, the way there and back included', () => {
    const options = { ...DEFAULT_OPTIONS, maxClockDriftMs: 60_000 };
    for (const [skewMs, tripMs, vouches] of [
      [0, 0, true],
      [15_000, 0, true],
      [-15_000, 0, true],
      [15_001, 0, false],
      [-120_000, 0, false],
      [10_000, 10_000, true],
      [10_000, 10_001, false],
      [0, 30_001, false],
    ] as const)
      assert.equal(isSameTime(skewMs, tripMs, options), vouches, `${skewMs} ms away after ${tripMs} ms`);
  });
});

describe('clones of one directory', () => {
  const from = { site: 'waw', origin: 'waw.0123456789abcdef' };
  const [A, B] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb'];

  function rig() {
    let nowMs = 0;
    const facts: ReplicationFact[] = [];
    const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
    const self = { site: 'ber', origin: 'ber.0123456789abcdef' };
    const callers = new Callers({ self, clock, callsPerPeer: 8, onFact: (fact) => facts.push(fact) });
    callers.enter(from)();
    const meet = (session: string): boolean => {
      try {
        callers.meet(from, session);
        return true;
      } catch (error) {
        assert.equal((error as { readonly code?: string }).code, 'Conflict');
        return false;
      }
    };
    const enter = (origin: string): (() => void) => callers.enter({ site: 'waw', origin });
    return { facts, meet, enter, pass: (ms: number) => (nowMs += ms) };
  }

  test('a restart, and a message of before it that comes late, are none', () => {
    const { meet, facts, pass } = rig();
    const heard = [A, A, B, A, B, A, B, A, B, B].map((session) => {
      pass(1000);
      return meet(session);
    });
    assert.deepEqual([heard.every(Boolean), facts], [true, []]);
  });

  test('two processes that take turns are both refused, until one is silent', () => {
    const { meet, facts, pass } = rig();
    const heard = [A, B, A, B, A, B, A].map((session) => {
      pass(20_000);
      return meet(session);
    });
    assert.deepEqual(heard, [true, true, true, true, false, false, false]);
    assert.deepEqual(facts[0], { kind: 'duplicate-site', site: 'waw', origins: [from.origin, from.origin] });
    pass(60_000);
    assert.equal(meet(B), false);
    pass(120_000);
    assert.equal(meet(B), true, 'the other one is gone');
  });

  test('the one that was succeeded by its copy is heard again once the copy is gone', () => {
    const { enter, pass } = rig();
    const copy = 'waw.fedcba9876543210';
    const end = enter(copy);
    pass(600_000);
    assert.throws(() => enter(from.origin), { code: 'Conflict' }, 'a call of the copy is open');
    end();
    pass(119_999);
    assert.throws(() => enter(from.origin), { code: 'Conflict' });
    pass(1);
    enter(from.origin)();
    assert.throws(() => enter(copy), { code: 'Conflict' }, 'and then the copy is the one that is too many');
  });

  test('both are refused once the one that was succeeded proves to be alive, until one is silent', () => {
    const { facts, enter, pass } = rig();
    const copy = 'waw.fedcba9876543210';
    enter(copy)();
    pass(14_999);
    assert.throws(() => enter(from.origin), { code: 'Conflict' }, 'a message of before its end, perhaps');
    enter(copy)();
    pass(1);
    assert.throws(() => enter(from.origin), { code: 'Conflict' });
    assert.throws(() => enter(copy), { code: 'Conflict' });
    assert.deepEqual(facts.at(-1), { kind: 'duplicate-site', site: 'waw', origins: [from.origin, copy] });
    pass(119_999);
    assert.throws(() => enter(copy), { code: 'Conflict' });
    pass(1);
    enter(copy)();
  });
});

describe('rule 11: an operator lets in what was stamped in the future', () => {
  const AHEAD_MS = 300_000;

  test('at each site that holds it: the op applies, the clock goes along, and what is written behind it arrives', async () => {
    await using world = await engines('chain', 2);
    const { cluster, sites } = world;
    const [waw, ber] = sites as [EngineSite, EngineSite];
    const { time } = cluster;
    const held = (site: EngineSite) =>
      drive(
        cluster,
        site.replication
          .status()
          .then(({ quarantine }) => quarantine.map(({ origin, reason, ops }) => [origin, reason, ops])),
      );
    time.wallOffsetMs = AHEAD_MS;
    await assert.rejects(waw.put('future', noise(10, 1)), { code: 'ClockUntrusted' });
    waw.engine.keeping.clockGuard.trust();
    await waw.put('future', noise(10, 1));
    time.wallOffsetMs = 0;
    await time.run(1000);
    assert.deepEqual(await held(ber), [[waw.replica.origin, 'clock', 1]]);
    await assert.rejects(drive(cluster, ber.replication.release('lon.0123456789abcdef')), { code: 'NotFound' });

    await drive(cluster, ber.replication.release(waw.replica.origin));
    await time.run(30_000);
    assert.equal(await ber.get('future'), noise(10, 1).toString('latin1'));
    assert.deepEqual(await held(ber), []);
    await ber.put('behind', noise(10, 2));
    await time.run(1000);
    assert.deepEqual(await held(waw), [[ber.replica.origin, 'clock', 1]], 'its wall clock does not believe it either');
    await assert.rejects(waw.put('own', noise(10, 3)), {
      code: 'ClockUntrusted',
      message: /behind what this site has stamped/,
    });

    await drive(cluster, waw.replication.release(ber.replica.origin));
    await time.run(30_000);
    assert.equal(await waw.get('behind'), noise(10, 2).toString('latin1'));
    await waw.put('own', noise(10, 3));
    await settled(cluster, ...sites);
    await equalEverywhere(...sites);
  });
});
