import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSkerryError } from '../../../core/contracts/index.ts';
import type { Logger } from '../../../core/contracts/index.ts';
import { nodeClock } from '../../../core/kernel/runtime/clock.ts';
import { createNodeRuntime } from '../../../core/kernel/runtime/index.ts';
import { nodeRandom } from '../../../core/kernel/runtime/random.ts';
import { nodeTimers } from '../../../core/kernel/runtime/timers.ts';

test('a timer never fires before its delay', async () => {
  for (const delayMs of [0, 0.3, 1.5, 3]) {
    const startMs = nodeClock.monotonicMs();
    await nodeTimers.sleep(delayMs);
    assert.ok(nodeClock.monotonicMs() - startMs >= delayMs);
  }
});

test('a cancelled timer does not fire, and one longer than setTimeout allows does not fire at once', async () => {
  const fired: string[] = [];
  const fire = (name: string) => (): void => void fired.push(name);
  const cancelled = nodeTimers.after(0, fire('cancelled'));
  cancelled.cancel();
  cancelled.cancel();
  const long = nodeTimers.after(2 ** 40, fire('long'), { unref: true });
  await nodeTimers.sleep(2);
  long.cancel();
  assert.deepEqual(fired, []);
  assert.throws(
    () => nodeTimers.after(Number.NaN, fire('never')),
    (error) => isSkerryError(error, 'InvalidArgument'),
  );
});

test('sleep rejects Aborted, before and while it sleeps', async () => {
  const isAborted = (error: unknown): boolean => isSkerryError(error, 'Aborted');
  await assert.rejects(nodeTimers.sleep(60_000, AbortSignal.abort()), isAborted);
  const controller = new AbortController();
  const sleeping = nodeTimers.sleep(60_000, controller.signal);
  controller.abort();
  await assert.rejects(sleeping, isAborted);
});

test('soon runs after what is ready now', async () => {
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    nodeTimers.soon(() => {
      order.push('soon');
      resolve();
    });
    void Promise.resolve().then(() => order.push('microtask'));
  });
  assert.deepEqual(order, ['microtask', 'soon']);
});

test('random gives what was asked for', () => {
  assert.equal(nodeRandom.bytes(33).length, 33);
  assert.match(nodeRandom.hex(16), /^[0-9a-f]{32}$/u);
  assert.notEqual(nodeRandom.hex(16), nodeRandom.hex(16));
  const unit = nodeRandom.unit();
  assert.ok(unit >= 0 && unit < 1);
});

test('the runtime carries the logger it was given and closes twice', async () => {
  const nothing = (): void => undefined;
  const logger: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => logger };
  const { runtime, close } = createNodeRuntime(logger);
  assert.equal(runtime.logger, logger);
  assert.ok(Math.abs(runtime.clock.wallMs() - Date.now()) < 60_000);
  await close();
  await close();
});
