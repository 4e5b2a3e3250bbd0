/** A peer has one snapshot pinned at a time, however its calls overlap: one that breaks off and asks anew must not use up all there are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { IncomingCall } from '../../core/contracts/index.ts';
import * as codec from '../../core/replication/codec-cuts.ts';
import { PROTOCOL } from '../../core/replication/protocol.ts';
import { CutDesk } from '../../core/replication/serve-cuts.ts';
import type { SiteContext } from '../../core/replication/site-context.ts';

test('of snapshots that a peer opens at once all but the last are given back', async () => {
  const pinned = new Set<string>();
  let opened = 0;
  const cut = (cutId: string) => ({ cutId, hlc: '0000000000000000', vector: {}, trimmed: {} });
  const cuts = {
    async open() {
      const cutId = String(opened++).padStart(16, '0');
      pinned.add(cutId);
      await new Promise((resolve) => setImmediate(resolve));
      return cut(cutId);
    },
    find: (cutId: string) => (pinned.has(cutId) ? cut(cutId) : undefined),
    release: async (cutId: string) => void pinned.delete(cutId),
  };
  const desk = new CutDesk({ kept: { cuts }, leases: { renew: async () => undefined } } as unknown as SiteContext);
  const ask = async (site: string): Promise<string> => {
    const body = codec.cutRequest.encode({ protocol: PROTOCOL.max, have: {} });
    const from = { site, origin: `${site}.0123456789abcdef` };
    const call: IncomingCall = { name: 'cut', from, body, signal: new AbortController().signal };
    const { value } = await desk.cut(call).next();
    return codec.cutAnswer.decode(value as Uint8Array).cutId;
  };
  await Promise.all([ask('ber'), ask('ber'), ask('ber'), ask('lis')]);
  assert.equal(pinned.size, 2, [...pinned].join());
  const last = await ask('ber');
  assert.equal(pinned.size, 2);
  assert.ok(pinned.has(last));
});
