/** The admin socket: the site's AdminService over HTTP and JSON, for the command line on the same machine. */
import { dirname } from 'node:path';
import { CONTRACT_VERSION, definePlugin } from '../../core/contracts/index.ts';
import { AdminGateway } from './admin-gateway.ts';
import { optionsSchema, type Options } from './options.ts';

export default definePlugin<'gateway', Options>({
  kind: 'gateway',
  name: 'gateway-admin',
  contract: CONTRACT_VERSION,
  supports: { protocol: 'admin' },
  options: optionsSchema,
  create: ({ services, dataDir, files, random, timers, logger }, options) =>
    new AdminGateway({ services, siteDir: dirname(dataDir), files, random, timers, logger }, options),
});
