/**
 * What may be tapped. Ports answer; hooks listen or veto. Every hook carries one frozen record. Plugins get a facade with
 * `tapPromise` on vetoes and `tap` on facts, sealed after start. A fact's listener that throws is reported, never propagated.
 */
import type { Op } from './model.ts';

/** Order of taps on one hook; no other ordering exists. */
export const STAGES = { first: -100, normal: 0, last: 100 } as const;
export type Stage = keyof typeof STAGES;

/** A write that is about to be decided. A listener vetoes by throwing a SkerryError. */
export interface BeforeWrite {
  readonly action: 'object.put' | 'object.delete' | 'bucket.create' | 'bucket.delete' | 'bucket.setting';
  readonly bucket: string;
  readonly key?: string;
  /** Declared size in bytes, when known. */
  readonly size?: number;
  readonly userId: string;
}

/** Ops that became durable by a local write. */
export interface Committed {
  readonly ops: readonly Op[];
}

/** Name, kind and record of every hook: the one list. */
export interface HookRecords {
  /** Veto, awaited in order. */
  readonly beforeWrite: BeforeWrite;
  /** Fact: local writes are durable. */
  readonly committed: Committed;
}
export const HOOKS = { beforeWrite: 'veto', committed: 'fact' } as const;
export type HookName = keyof typeof HOOKS;

export interface SiteHooks {
  /** Name says who listens, in logs. */
  onVeto(hook: 'beforeWrite', name: string, listener: (record: BeforeWrite) => Promise<void>, stage?: Stage): void;
  onFact(hook: 'committed', name: string, listener: (record: Committed) => void, stage?: Stage): void;
}
