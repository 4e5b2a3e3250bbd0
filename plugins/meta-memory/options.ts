import type { OptionsSchema } from '../../core/contracts/index.ts';

/** There is nothing to set. */
export type Options = Readonly<Record<string, never>>;

export const optionsSchema: OptionsSchema = { type: 'object', additionalProperties: false, properties: {} };
