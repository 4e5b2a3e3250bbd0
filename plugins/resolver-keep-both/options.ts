/** resolver-keep-both has nothing to configure: a rule that every site must share is no place for settings. */
import type { OptionsSchema } from '../../core/contracts/index.ts';

export type KeepBothOptions = Readonly<Record<string, never>>;

export const optionsSchema: OptionsSchema = { type: 'object', additionalProperties: false, properties: {} };
