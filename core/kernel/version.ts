/** Version of this package: of the checkout, or of dist/, which has one of its own. */
import { createRequire } from 'node:module';

const manifest = createRequire(import.meta.url)('../../package.json') as { readonly version: string };

export const VERSION: string = manifest.version;
