/** A link that was lent to a peer that means no good. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { BootstrapPeer } from '../../core/replication/bootstrap.ts';
import { newPeerView } from '../../core/replication/peer-view.ts';
import type { SiteContext } from '../../core/replication/site-context.ts';
import { lend } from '../../core/replication/turned.ts';
import type { TurnFrame } from '../../core/replication/turned-protocol.ts';
import { silentLogger } from '../engine/fake-stores.ts';

const site = { replica: { cut: async () => ({ vector: {} }) }, logger: silentLogger } as unknown as SiteContext;

function borrower(orders: AsyncIterable<TurnFrame>): BootstrapPeer {
  const calls = { turn: () => orders, turned: async () => ({ taken: true }) };
  const view = { ...newPeerView('ber', ''), origin: 'ber.0123456789abcdef' };
  return { calls, view, protocol: 1, signal: new AbortController().signal } as unknown as BootstrapPeer;
}

async function* callsOf(count: number): AsyncGenerator<TurnFrame> {
  for (let id = 1; id <= count; id++) yield { kind: 'call', id, name: 'cut', body: new Uint8Array(1024) };
}

describe('a link that is lent', () => {
  test('is taken back from a peer that has more calls running than it may', async () => {
    let [running, most] = [0, 0];
    const work = lend(site, borrower(callsOf(10_000)), async function* ({ signal }) {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));
      running--;
      yield new Uint8Array(0);
    });
    await assert.rejects(work, { code: 'InvalidArgument' });
    assert.ok(most <= 32, `${most} calls`);
    assert.equal(running, 0);
  });

  test('serves call after call', async () => {
    let served = 0;
    await lend(site, borrower(slowly(callsOf(200))), async function* () {
      served++;
      yield new Uint8Array(0);
    });
    assert.equal(served, 200);
  });
});

/** Each after the one before was answered. */
async function* slowly(orders: AsyncIterable<TurnFrame>): AsyncGenerator<TurnFrame> {
  for await (const order of orders) {
    yield order;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
