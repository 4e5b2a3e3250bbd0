import type { OptionsSchema } from '../../contracts/index.ts';

export const ENGINE_OPTIONS: OptionsSchema = { type: 'object', additionalProperties: false, properties: {} };
