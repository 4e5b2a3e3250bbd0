/** The hooks of one site: tapable behind the SiteHooks contract. The only file that knows tapable. */
import { AsyncSeriesHook, SyncHook } from 'tapable';
import {
  SkerryError,
  STAGES,
  type BeforeWrite,
  type Committed,
  type HookName,
  type Logger,
  type SiteHooks,
} from '../contracts/index.ts';

/** What the kernel keeps: plugins get `facade`, the engine the callers. */
export interface HookSet {
  readonly facade: SiteHooks;
  /** Awaits every veto in order; rejects with the first that refuses. Does not wait when nobody listens. */
  beforeWrite(record: BeforeWrite): Promise<void> | undefined;
  /** Tells every listener. A listener that throws is logged and the others still hear. */
  committed(record: Committed): void;
  /** Cheap: false means that building the record can be spared. */
  isUsed(hook: HookName): boolean;
  /** From now on nobody may tap. */
  seal(): void;
}

/** Made per site, never shared: a listener of one site hears nothing of another. */
export function createHooks(logger: Logger): HookSet {
  const beforeWrite = new AsyncSeriesHook<[BeforeWrite]>(['record'], 'beforeWrite');
  const committed = new SyncHook<[Committed]>(['record'], 'committed');
  let sealed = false;

  function refuseWhenSealed(hook: HookName, name: string): void {
    if (sealed) throw new SkerryError('Closed', `${name} taps ${hook} after the start: hooks are sealed`);
  }

  const facade: SiteHooks = {
    onVeto(hook, name, listener, stage = 'normal') {
      refuseWhenSealed(hook, name);
      beforeWrite.tapPromise({ name, stage: STAGES[stage] }, async (record) => listener(record));
    },
    onFact(hook, name, listener, stage = 'normal') {
      refuseWhenSealed(hook, name);
      committed.tap({ name, stage: STAGES[stage] }, (record) => {
        isolate(
          () => listener(record),
          (error) => logger.error({ hook, listener: name, error }, 'a listener failed'),
        );
      });
    },
  };

  return {
    facade: Object.freeze(facade),
    beforeWrite: (record) => (beforeWrite.isUsed() ? beforeWrite.promise(Object.freeze(record)) : undefined),
    committed: (record) => {
      if (committed.isUsed()) committed.call(Object.freeze(record));
    },
    isUsed: (hook) => (hook === 'beforeWrite' ? beforeWrite : committed).isUsed(),
    seal: () => {
      sealed = true;
    },
  };
}

/** A fact's listener cannot hurt the caller, not even as an async function whose promise rejects. */
function isolate(listener: () => unknown, report: (error: unknown) => void): void {
  try {
    const result = listener();
    if (result instanceof Promise) result.catch(report);
  } catch (error) {
    report(error);
  }
}
