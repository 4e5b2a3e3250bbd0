/** Opens parts in dependency order and closes them in reverse, gathering every error. */
import { isSkerryError, SkerryError, type Lifecycle, type Logger } from '../contracts/index.ts';

export interface LifecycleStep {
  /** `metaStore`: for errors and logs. */
  readonly name: string;
  readonly part: Lifecycle;
}

/**
 * `open` opens the steps one after another. When one fails, those that were opened are closed in reverse and `open` rejects with
 * the failure's code, the failures of closing in `details.errors`. `close` closes in reverse whatever is open, goes on over
 * failures and rejects at the end with all of them. `close` is idempotent; calls share one run. One that comes while parts are being
 * opened waits for that: `open` resolves, and they are closed.
 */
export function createLifecycle(steps: readonly LifecycleStep[], logger: Logger): Lifecycle {
  const opened: LifecycleStep[] = [];
  let opening: Promise<void> | undefined;
  let closing: Promise<void> | undefined;

  async function closeOpened(): Promise<readonly Failure[]> {
    const failures: Failure[] = [];
    for (let step = opened.pop(); step !== undefined; step = opened.pop()) {
      try {
        await step.part.close();
        logger.debug({ part: step.name }, 'closed');
      } catch (error) {
        logger.error({ part: step.name, error }, 'close failed');
        failures.push({ name: step.name, verb: 'close', error });
      }
    }
    return failures;
  }

  async function openAll(): Promise<void> {
    for (const step of steps) {
      try {
        await step.part.open();
        opened.push(step);
        logger.debug({ part: step.name }, 'opened');
      } catch (error) {
        const first: Failure = { name: step.name, verb: 'open', error };
        throw gather(first, await closeOpened());
      }
    }
  }

  async function closeAll(): Promise<void> {
    await opening?.catch(() => undefined); // for who opens
    const [first, ...rest] = await closeOpened();
    if (first !== undefined) throw gather(first, rest);
  }

  return {
    async open() {
      if (closing !== undefined) throw new SkerryError('Closed', 'opening after close');
      opening = openAll();
      return opening;
    },
    close() {
      closing ??= closeAll();
      return closing;
    },
  };
}

interface Failure {
  readonly name: string;
  readonly verb: 'open' | 'close';
  readonly error: unknown;
}

function describe({ name, verb, error }: Failure): string {
  return `${name} did not ${verb}: ${error instanceof Error ? error.message : String(error)}`;
}

function gather(first: Failure, rest: readonly Failure[]): SkerryError {
  const all = [first, ...rest];
  const code = isSkerryError(first.error) ? first.error.code : 'Internal';
  const details = isSkerryError(first.error) ? first.error.details : {};
  const cause = rest.length === 0 ? first.error : new AggregateError(all.map(({ error }) => error));
  return new SkerryError(code, all.map(describe).join('; '), {
    cause,
    details: { ...details, part: first.name, errors: all.map(describe) },
  });
}
