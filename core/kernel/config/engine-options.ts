/** The `engine` section: EngineOptions of the engine, whose own defaults apply to what is left out. */
import type { OptionsSchema } from '../../contracts/index.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const bytes = (minimum: number, maximum: number, description: string) => ({
  type: 'integer',
  minimum,
  maximum,
  description,
});

export const ENGINE_OPTIONS: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    ingest: {
      type: 'object',
      additionalProperties: false,
      properties: {
        chunkBytes: bytes(64 * 1024, 16 * MIB, 'bytes of one chunk'),
        tightChunkBytes: bytes(64 * 1024, 16 * MIB, 'bytes of one chunk while memory is short'),
        dedupMinBytes: bytes(0, 16 * MIB, 'bodies up to this size belong to their version alone'),
        memoryBytes: bytes(4 * MIB, 64 * GIB, 'bytes that all uploads together may hold'),
      },
    },
    gc: {
      type: 'object',
      additionalProperties: false,
      properties: {
        intervalMs: {
          type: 'integer',
          minimum: 0,
          maximum: 365 * 86_400_000,
          description: 'milliseconds between passes of garbage collection; 0: none in the background',
        },
        deadShareMin: {
          type: 'number',
          exclusiveMinimum: 0,
          maximum: 1,
          description: 'segments with at least this share of freed bytes are emptied',
        },
      },
    },
    readMemoryBytes: bytes(MIB, 64 * GIB, 'bytes that all downloads together may hold'),
  },
};
