/** Transport over HTTP/1.1: signed calls, streamed answers, a listener of its own. */
import { CONTRACT_VERSION, definePlugin } from '../../core/contracts/index.ts';
import { optionsSchema, type Options } from './options.ts';
import { WINDOW_FRAMES } from './protocol.ts';
import { HttpTransport } from './transport.ts';

export default definePlugin<'transport', Options>({
  kind: 'transport',
  name: 'transport-http',
  contract: CONTRACT_VERSION,
  supports: { remote: true, windowFrames: WINDOW_FRAMES },
  options: optionsSchema,
  create: (deps, options) => new HttpTransport(deps, options),
});
