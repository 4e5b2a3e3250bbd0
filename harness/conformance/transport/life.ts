/** Before `open` and after `close` nothing works, and says so. */
import { rejectsWith } from '../traits.ts';
import type { Transport } from '../../../core/contracts/index.ts';
import { NONE, collect, identity, nothing, type TransportKit } from './kit.ts';

const NOWHERE = { site: 'b', url: 'http://127.0.0.1:9' };

/** How to bring a fresh transport to a state in which nothing may be called. */
const SHUT_STATES: Readonly<Record<string, (transport: Transport) => Promise<void>>> = {
  'before open': async () => {},
  'after close': async (transport) => {
    await transport.open();
    await transport.close();
  },
  'after close without open': (transport) => transport.close(),
};

export function registerLife({ withShut, test, inWorld }: TransportKit): void {
  for (const [state, bring] of Object.entries(SHUT_STATES)) {
    withShut(`listen and calls ${state} reject with Closed`, async ([transport]) => {
      await bring(transport);
      await rejectsWith('Closed', () => transport.listen(identity('a'), nothing));
      await rejectsWith('Closed', () => collect(transport.dial(NOWHERE).call('c', NONE)));
    });
  }
  withShut('close is idempotent, at once and one after another, also before open', async ([a, b]) => {
    await a.close();
    await a.close();
    await b.open();
    await Promise.all([b.close(), b.close()]);
    await b.close();
  });
  withShut('what was closed is not opened again', async ([transport]) => {
    await transport.open();
    await transport.close();
    await rejectsWith('Closed', () => transport.open());
  });
  test('close with calls and listeners is idempotent', () =>
    inWorld(nothing, async ({ b, link }) => {
      await collect(link.call('c', NONE));
      await Promise.all([b.transport.close(), b.transport.close()]);
      await b.transport.close();
    }));
}
