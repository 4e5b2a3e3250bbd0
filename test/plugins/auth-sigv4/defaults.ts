/** Options as the kernel would give them: the defaults of the schemas. */
import type { OptionsSchema } from '../../../core/contracts/index.ts';
import { optionsSchema as anonymousSchema, type AnonymousOptions } from '../../../plugins/auth-anonymous/options.ts';
import { optionsSchema, type SigV4Options } from '../../../plugins/auth-sigv4/options.ts';

function defaultsOf<O>({ properties }: OptionsSchema): O {
  const entries = Object.entries(properties).map(([name, schema]) => [name, (schema as { default?: unknown }).default]);
  return Object.freeze(Object.fromEntries(entries)) as O;
}

export const SIGV4_DEFAULTS = defaultsOf<SigV4Options>(optionsSchema);
export const ANONYMOUS_DEFAULTS = defaultsOf<AnonymousOptions>(anonymousSchema);
