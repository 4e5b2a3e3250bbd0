/** Who is primary is a register; one without a value says nothing, so that the configuration counts again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { put } from './exchange.ts';
import { Author } from './support.ts';
import { wholeSite } from './whole-site.ts';

test('a role that was removed leaves the configured primary, and refuses nobody by accident', async () => {
  const resolve = () => ({ winner: '', losers: 'conflict' as const });
  await using site = await wholeSite({ conflictResolver: { resolve, writers: { primary: 'waw' } } });
  const author = new Author('ber');
  const ops = [
    author.write({ type: 'policy.put', id: 'primary', value: { site: 'ber', epoch: 1 } }),
    author.write({ type: 'policy.remove', id: 'primary' }),
  ];
  await site.engine.replica.apply(ops.slice(0, 1).map((op) => ({ op })));
  await assert.rejects(put(site, 'k', 'x'), { code: 'AccessDenied' });
  await site.engine.replica.apply(ops.slice(1).map((op) => ({ op })));
  await put(site, 'k', 'x');
  assert.deepEqual(await site.engine.primary(), { site: 'waw', epoch: 0 });
});
