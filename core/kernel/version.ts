/** Version of this package, from its package.json: the same file for a checkout and for what is published. */
import { createRequire } from 'node:module';

const manifest = createRequire(import.meta.url)('skerry/package.json') as { readonly version: string };

export const VERSION: string = manifest.version;
