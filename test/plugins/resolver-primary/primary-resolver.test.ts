/** What resolver-primary makes of its options; the laws are the conformance kit's, the gate is the engine's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPrimaryResolver } from '../../../plugins/resolver-primary/primary-resolver.ts';

test('the primary names itself, a replica what it was told', () => {
  assert.deepEqual(createPrimaryResolver('waw', { role: 'primary', url: 'http://w' }).writers, {
    primary: 'waw',
    url: 'http://w',
  });
  assert.deepEqual(createPrimaryResolver('ber', { role: 'replica' }).writers, {});
  const told = { primary: 'waw', primaryUrl: 'http://w' } as const;
  assert.deepEqual(createPrimaryResolver('ber', { role: 'replica', ...told }).writers, told);
});

test('a replica of itself is refused at start', async () => {
  const resolver = createPrimaryResolver('waw', { role: 'replica', primary: 'waw' });
  await assert.rejects(resolver.open(), { code: 'InvalidConfig' });
});

test('a replica forwards when it is told to, and must then know the primary and its address', async () => {
  const whole = { role: 'replica', primary: 'waw', primaryUrl: 'http://w', writes: 'forward' } as const;
  assert.deepEqual(createPrimaryResolver('ber', whole).writers, {
    primary: 'waw',
    primaryUrl: 'http://w',
    forwards: true,
  });
  const { primaryUrl: _without, ...unknown } = whole;
  await assert.rejects(createPrimaryResolver('ber', unknown).open(), { code: 'InvalidConfig' });
  await createPrimaryResolver('waw', { role: 'primary', writes: 'forward' }).open();
});
