/** Planted bugs: each fits the source as it is now, none changes a file, and a chosen few are noticed soon. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { mutations } from '../../../harness/mutations/index.ts';
import { patched } from '../../../harness/mutations/loader.ts';
import { scoreMutation } from '../../../harness/mutations/score.ts';

const sourceOf = (file: string): string => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

/** One of each family; `npm run sim:score` runs them all. */
const CHOSEN = ['syncSkipped', 'acknowledgedBeforeCommit', 'countersDrift', 'latePutAfterDelete', 'fetchedNodeIsData'];

describe('planted bugs', () => {
  test('each has a name of its own and fits exactly one place of the source', () => {
    assert.equal(new Set(mutations.map(({ name }) => name)).size, mutations.length);
    for (const mutation of mutations) {
      assert.notEqual(patched(sourceOf(mutation.file), mutation), sourceOf(mutation.file), mutation.name);
    }
  });

  test('a text that is there twice, or not at all, is refused', () => {
    const mutation = { name: 'm', find: 'a', replace: 'b' };
    assert.throws(() => patched('aXa', mutation), /occurs 2 times/);
    assert.throws(() => patched('X', mutation), /occurs 0 times/);
    assert.equal(patched('XaX', mutation), 'XbX');
  });

  for (const name of CHOSEN) {
    test(`${name} is noticed within 60 seeds`, async () => {
      const mutation = mutations.find((one) => one.name === name);
      assert.ok(mutation);
      const before = sourceOf(mutation.file);
      const score = await scoreMutation(mutation, { seedsMax: 60 });
      assert.ok(score.seeds !== undefined, score.noticed);
      assert.equal(sourceOf(mutation.file), before);
    });
  }
});
