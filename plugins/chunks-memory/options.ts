import type { OptionsSchema } from '../../core/contracts/index.ts';

export interface Options {
  /** Bytes of records at most; an append beyond rejects `OutOfSpace`. 0 means no limit. */
  readonly capacityBytes: number;
}

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    capacityBytes: { type: 'integer', minimum: 0, default: 0 },
  },
};
