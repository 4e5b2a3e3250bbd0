/** Rule 11: what a site whose clock jumped may be told by peers and by operators, on a clock that the test holds. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { ReplicationFact } from '../../core/replication/facts.ts';
import { isSameTime } from '../../core/replication/handshake.ts';
import { Callers } from '../../core/replication/callers.ts';
import { DEFAULT_OPTIONS } from '../../core/replication/options.ts';

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
    return { facts, meet, pass: (ms: number) => (nowMs += ms) };
  }

  test('a restart, and a message of before it that comes late, are none', () => {
    const { meet, facts, pass } = rig();
    const heard = [A, A, B, A, B, B, B].map((session) => {
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
});
