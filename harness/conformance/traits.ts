/**
 * Every operation of a port against every state of its life, for any kind of plugin: one call registers the tests of
 * `lifecycle.ts`, so no kit has to spell them out again.
 */
import assert from 'node:assert/strict';

import { isSkerryError, type ErrorCode, type Lifecycle } from '../../core/contracts/index.ts';
import { withFixture, type Fixture, type TestFunction } from './runner.ts';

/** Each method of the port by name, called with valid arguments. Its promise is all that the trait looks at. */
export type Operations<P> = Readonly<Record<string, (port: P) => Promise<unknown>>>;

export interface LifecycleTrait<P extends Lifecycle> {
  readonly test: TestFunction;
  readonly create: () => Promise<Fixture<P>>;
  readonly operations: Operations<P>;
}

/** How to bring a fresh port to a state in which nothing may be called. */
const SHUT_STATES: Readonly<Record<string, (port: Lifecycle) => Promise<void>>> = {
  'before open': async () => {},
  'after close': async (port) => {
    await port.open();
    await port.close();
  },
  'after close without open': async (port) => {
    await port.close();
  },
};

/** Registers: each operation rejects with `Closed` in each shut state; close is idempotent; close waits for running calls. */
export function lifecycleTrait<P extends Lifecycle>({ test, create, operations }: LifecycleTrait<P>): void {
  for (const [state, bring] of Object.entries(SHUT_STATES)) {
    for (const [name, call] of Object.entries(operations)) {
      test(`${name} ${state} rejects with Closed`, () =>
        withFixture(create, async ({ port }) => {
          await bring(port);
          await rejectsWith('Closed', () => call(port));
        }));
    }
  }
  test('close is idempotent, one after another and at once', () =>
    withFixture(create, async ({ port }) => {
      await port.open();
      await Promise.all([port.close(), port.close()]);
      await port.close();
    }));
  test('close before open is fine, and again', () =>
    withFixture(create, async ({ port }) => {
      await port.close();
      await port.close();
    }));
  for (const [name, call] of Object.entries(operations)) {
    test(`close lets a running ${name} settle first`, () =>
      withFixture(create, ({ port }) => settlesFirst(port, call)));
  }
}

/** A turn of the event loop is granted for the promises of the call and of `close` to be unwrapped. */
async function settlesFirst<P extends Lifecycle>(port: P, call: (port: P) => Promise<unknown>): Promise<void> {
  await port.open();
  let settled = false;
  const running = call(port).finally(() => (settled = true));
  running.catch(() => undefined);
  await port.close();
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(settled, 'close resolved before a call that was running');
  await running;
}

/** The call must reject (a synchronous throw is a fault) with a SkerryError of that code. */
export async function rejectsWith(code: ErrorCode, call: () => Promise<unknown>): Promise<void> {
  const outcome = await call().then(
    () => ({ resolved: true as const }),
    (error: unknown) => ({ resolved: false as const, error }),
  );
  assert.ok(!outcome.resolved, `resolved instead of rejecting with ${code}`);
  assert.ok(isSkerryError(outcome.error), `rejected with ${String(outcome.error)} instead of a SkerryError ${code}`);
  assert.equal(outcome.error.code, code, `rejected with ${outcome.error.code} (${outcome.error.message})`);
}
