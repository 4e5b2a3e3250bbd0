/** The S3 gateway as a plugin. */
import { definePlugin } from '../../core/contracts/index.ts';
import { S3Gateway } from './gateway.ts';
import { optionsSchema, type S3Options } from './options.ts';

export default definePlugin<'gateway', S3Options>({
  kind: 'gateway',
  name: 'gateway-s3',
  contract: 1,
  supports: { protocol: 's3' },
  options: optionsSchema,
  create: (deps, options) => new S3Gateway(deps, options),
});
