/**
 * What a conformance kit asks of its surroundings. A kit never imports a test runner: the adopter hands in the `test` of
 * node:test, vitest, jest or mocha, and `create`, which makes a fresh port. A check is skipped only because the plugin's
 * `supports` says that it has no such ability.
 */
import type { Lifecycle } from '../../core/contracts/index.ts';

/** `test` of node:test, vitest or jest, `it` of mocha: registers one test by title; an async body fails by rejecting. */
export type TestFunction = (title: string, body: () => Promise<void>) => unknown;

/** One fresh port, with nothing in it. */
export interface Fixture<P extends Lifecycle> {
  /** Constructed, not opened: the kit opens and closes it. */
  readonly port: P;
  /**
   * Another unopened port over the same data. Needed where `supports` says that data survives a close (the kit calls it
   * after closing the former port) or that several may be open at once.
   */
  readonly again?: () => P;
  /** Runs after the port was closed, also when the test failed: delete files, drop schemas. */
  readonly cleanup?: () => Promise<void>;
}

export interface KitOptions<P extends Lifecycle, S> {
  readonly test: TestFunction;
  readonly create: () => Promise<Fixture<P>>;
  /** The plugin's own declaration; decides alone what is checked. */
  readonly supports: S;
  /** Seed of every property; printed by fast-check with each failure. Default 1. */
  readonly seed?: number;
  /** Random cases of each property. Default 30. */
  readonly runs?: number;
}

/** A test that a kit registered. */
export interface CollectedTest {
  readonly title: string;
  readonly body: () => Promise<void>;
}

export interface TestOutcome {
  readonly title: string;
  /** What the test threw; `undefined` when it passed. */
  readonly failure: unknown;
  readonly passed: boolean;
}

/** Registers a kit without running it: `collectTests((test) => metaStoreConformance({ test, ... }))`. */
export function collectTests(register: (test: TestFunction) => void): readonly CollectedTest[] {
  const tests: CollectedTest[] = [];
  register((title, body) => tests.push({ title, body }));
  return tests;
}

/** Runs collected tests one after another; with `untilFailure` stops behind the first that fails. */
export async function runTests(
  tests: readonly CollectedTest[],
  options: { readonly untilFailure?: boolean } = {},
): Promise<readonly TestOutcome[]> {
  const outcomes: TestOutcome[] = [];
  for (const { title, body } of tests) {
    const outcome = await runTest(title, body);
    outcomes.push(outcome);
    if (!outcome.passed && options.untilFailure === true) break;
  }
  return outcomes;
}

async function runTest(title: string, body: () => Promise<void>): Promise<TestOutcome> {
  try {
    await body();
    return { title, failure: undefined, passed: true };
  } catch (failure) {
    return { title, failure, passed: false };
  }
}

/** Opens a fresh port, runs `body` with it, closes and cleans up whatever happens; the first failure wins. */
export async function withOpen<P extends Lifecycle>(
  create: () => Promise<Fixture<P>>,
  body: (port: P, fixture: Fixture<P>) => Promise<void>,
): Promise<void> {
  await withFixture(create, async (fixture) => {
    await fixture.port.open();
    await body(fixture.port, fixture);
  });
}

/** As `withOpen`, but leaves opening to `body`; `close` is called in any case (it is idempotent by contract). */
export async function withFixture<P extends Lifecycle>(
  create: () => Promise<Fixture<P>>,
  body: (fixture: Fixture<P>) => Promise<void>,
): Promise<void> {
  const fixture = await create();
  try {
    await body(fixture);
  } finally {
    await fixture.port.close();
    await fixture.cleanup?.();
  }
}
