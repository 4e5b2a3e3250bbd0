/** Transport between sites of one process: no sockets, the same promises. */
import { CONTRACT_VERSION, definePlugin } from '../../core/contracts/index.ts';
import { namedHub } from './hub.ts';
import { optionsSchema, type Options } from './options.ts';
import { WINDOW_FRAMES } from './stream.ts';
import { MemoryTransport } from './transport.ts';

export default definePlugin<'transport', Options>({
  kind: 'transport',
  name: 'transport-memory',
  contract: CONTRACT_VERSION,
  supports: { remote: false, windowFrames: WINDOW_FRAMES },
  options: optionsSchema,
  create: (_deps, { hub }) => new MemoryTransport(namedHub(hub)),
});
