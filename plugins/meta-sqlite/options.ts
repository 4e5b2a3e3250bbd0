import type { OptionsSchema } from '../../core/contracts/index.ts';

export interface Options {
  /** File name below the plugin's directory. */
  readonly fileName: string;
  /** What a resolved `transact` survives: `full` power loss, `normal` a crash of the process, `off` neither. */
  readonly synchronous: 'full' | 'normal' | 'off';
  /** Page cache, bytes; filled only as far as the data reaches. */
  readonly cacheBytes: number;
  /** How long a call waits for another process that holds the write lock. The wait blocks this process. */
  readonly busyTimeoutMs: number;
  /** Copy the write-ahead log back into the database when about this much was written to it. */
  readonly checkpointBytes: number;
  /** The database file grows no further than this; writes then fail with `OutOfSpace`. 0: no limit but the disk's. */
  readonly maxBytes: number;
}

const MIB = 1024 * 1024;

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    fileName: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$', default: 'meta.sqlite' },
    synchronous: { enum: ['full', 'normal', 'off'], default: 'full' },
    cacheBytes: { type: 'integer', minimum: MIB, maximum: 64 * 1024 * MIB, default: 32 * MIB },
    busyTimeoutMs: { type: 'integer', minimum: 0, maximum: 600_000, default: 5000 },
    checkpointBytes: { type: 'integer', minimum: 64 * 1024, maximum: 4096 * MIB, default: 16 * MIB },
    maxBytes: { type: 'integer', minimum: 0, default: 0 },
  },
};
