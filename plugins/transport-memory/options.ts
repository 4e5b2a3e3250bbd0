import type { OptionsSchema } from '../../core/contracts/index.ts';

export interface Options {
  /** Sites of one process whose configs name the same hub reach each other. */
  readonly hub: string;
}

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: { hub: { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,63}$', default: 'default' } },
};
