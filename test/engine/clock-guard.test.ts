/** Rule 11: a clock that cannot be right stamps nothing. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { createClockGuard } from '../../core/engine/clock-guard.ts';
import { createCommitter } from '../../core/engine/committer.ts';
import { HLC_ZERO, formatHlc, hlcWallMs, mergeHlc } from '../../core/engine/hlc.ts';
import { clockKey } from '../../core/engine/keys.ts';
import { decodeRecord, type ClockRecord } from '../../core/engine/records.ts';
import { ledgerSyncs } from '../../core/engine/sync-ledger.ts';
import { nodeTimers } from '../../core/kernel/runtime/timers.ts';
import { FakeChunkStore, silentLogger } from './fake-stores.ts';
import { memoryStore } from './support.ts';

const MAX_MS = 60_000;
const START_MS = 1_700_000_000_000;

class VirtualClock {
  wall = START_MS;
  monotonic = 5;
  wallMs = (): number => this.wall;
  monotonicMs = (): number => this.monotonic;
  pass(ms: number): void {
    this.wall += ms;
    this.monotonic += ms;
  }
}

const guardOf = (clock: VirtualClock) => createClockGuard({ clock, maxClockDriftMs: MAX_MS });
const refused = { code: 'ClockUntrusted', retryable: true };

describe('the clock guard', () => {
  test('time passes, however much; a jump forward is refused until it is taken back or vouched for', () => {
    const clock = new VirtualClock();
    const guard = guardOf(clock);
    clock.pass(86_400_000);
    guard.check({ hlc: HLC_ZERO });
    clock.wall += MAX_MS + 1;
    assert.throws(() => guard.check({ hlc: HLC_ZERO }), { ...refused, message: /jumped forward, by 60001 ms/ });
    clock.pass(86_400_000);
    assert.throws(() => guard.check({ hlc: HLC_ZERO }), refused, 'time does not heal it');
    clock.wall -= MAX_MS + 1;
    guard.check({ hlc: HLC_ZERO });
    clock.wall += MAX_MS + 1;
    guard.trust();
    guard.check({ hlc: HLC_ZERO });
  });

  test('who vouched for it as it was before a jump does not vouch for the jump', () => {
    const clock = new VirtualClock();
    const guard = guardOf(clock);
    const agreedMs = clock.wallMs() - clock.monotonicMs();
    clock.wall += MAX_MS + 1;
    guard.trust(agreedMs);
    assert.throws(() => guard.check({ hlc: HLC_ZERO }), refused);
  });

  test('what NTP corrects in small steps is followed', () => {
    const clock = new VirtualClock();
    const guard = guardOf(clock);
    for (let i = 0; i < 100; i++) {
      clock.pass(1000);
      clock.wall += MAX_MS / 2;
      guard.check({ hlc: HLC_ZERO });
    }
  });

  test('a jump back only makes the counter work while it is small; beyond that others would hold every op', () => {
    const clock = new VirtualClock();
    const guard = guardOf(clock);
    const stamped = formatHlc(clock.wall, 3);
    clock.wall -= MAX_MS;
    guard.check({ hlc: stamped });
    clock.wall -= 1;
    assert.throws(() => guard.check({ hlc: stamped }), {
      ...refused,
      message: /behind what this site has stamped, by 60001 ms/,
    });
    clock.pass(1);
    guard.check({ hlc: stamped });
  });

  test('whatever the wall clock does, no stamp is further from the monotonic clock than one drift for each step', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ passMs: fc.nat(10_000), jumpMs: fc.integer({ min: -200_000, max: 10_000_000 }) }), {
          maxLength: 12,
          size: 'max',
        }),
        async (moves) => {
          const clock = new VirtualClock();
          const guard = guardOf(clock);
          const store = await memoryStore();
          const committer = createCommitter({
            metaStore: store,
            chunkStore: ledgerSyncs(new FakeChunkStore()),
            clock,
            timers: nodeTimers,
            logger: silentLogger,
            origin: 'waw.0123456789abcdef',
            onCommitted: () => {},
            maxClockDriftMs: MAX_MS,
            checkWrites: (reading) => guard.check(reading),
          });
          let last = HLC_ZERO;
          for (const [i, { passMs, jumpMs }] of moves.entries()) {
            clock.pass(passMs);
            clock.wall += jumpMs;
            await committer
              .commit({
                reads: {},
                appended: [],
                decide: ({ author }) => void author({ type: 'principal.remove', id: 'p' }),
              })
              .catch((error: unknown) => assert.equal((error as { code: string }).code, 'ClockUntrusted'));
            const [row] = await store.get([clockKey]);
            const { hlc } = row ? decodeRecord<ClockRecord>(row) : { hlc: HLC_ZERO };
            assert.equal(mergeHlc(hlc, last), hlc, 'the clock never goes back');
            last = hlc;
            assert.ok(
              hlcWallMs(hlc) <= START_MS + clock.monotonic + (i + 1) * MAX_MS + 1,
              'nothing poisonous is stamped',
            );
          }
          await committer.close();
        },
      ),
      { numRuns: 200 },
    );
  });
});
