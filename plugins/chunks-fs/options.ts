import type { OptionsSchema } from '../../core/contracts/index.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

export interface Options {
  /** A segment that would grow beyond this many bytes is sealed and the next one begun. */
  readonly segmentMaxBytes: number;
  /** Sealed segments kept open for reading at most. */
  readonly openFilesMax: number;
  /** Unsynced bytes after which a sync starts in the background, so that the commit's own sync finds little to do. */
  readonly syncAheadBytes: number;
  /** Data is refused (`OutOfSpace`) that would leave less free on the volume: the meta-store needs room even to delete. */
  readonly minFreeBytes: number;
}

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    segmentMaxBytes: { type: 'integer', minimum: 64 * KIB, maximum: 2048 * MIB, default: 256 * MIB },
    openFilesMax: { type: 'integer', minimum: 1, maximum: 65_536, default: 256 },
    syncAheadBytes: { type: 'integer', minimum: 64 * KIB, maximum: 2048 * MIB, default: 16 * MIB },
    minFreeBytes: { type: 'integer', minimum: 0, default: 64 * MIB },
  },
};
