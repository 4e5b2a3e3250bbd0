/** The tests of the rules can fail: each does, with the bug planted that it must notice. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';

import { patched } from '../../harness/mutations/loader.ts';
import { ruleMutations } from '../../harness/mutations/rules.ts';
import { ruleBreaks } from './breaks.ts';
import { fileOf, score } from './score.ts';

const RULES = Array.from({ length: 19 }, (_, index) => index + 1);

test('planted bugs of the rules have names of their own, fit one place of the source, and are all used', () => {
  const names = ruleMutations.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const mutation of ruleMutations) {
    const source = readFileSync(new URL(`../../${mutation.file}`, import.meta.url), 'utf8');
    assert.notEqual(patched(source, mutation), source, mutation.name);
  }
  const used = new Set(ruleBreaks.map(({ mutation }) => mutation));
  assert.deepEqual(
    ruleMutations.map(({ name }) => name).filter((name) => !used.has(name)),
    [],
  );
});

test('every test of every rule has a bug that it must notice', () => {
  for (const rule of RULES) {
    const text = readFileSync(fileOf(rule), 'utf8');
    const names = [...text.matchAll(/^ {2,}test\(\s*['`]([^'`$]+)/gm)].map(([, name]) => name ?? '');
    assert.ok(names.length > 0);
    const broken = ruleBreaks.filter((one) => one.rule === rule);
    for (const name of names)
      assert.ok(
        broken.some(({ test: start }) => name.startsWith(start) || start.startsWith(name)),
        `rule ${rule}: ${name}`,
      );
  }
});

describe('with its bug planted', { concurrency: 2 }, () => {
  for (const one of ruleBreaks) {
    test(`rule ${one.rule}, ${one.mutation}: the test fails: ${one.test}`, async () => {
      const { noticed, why } = await score(one);
      assert.ok(noticed, why);
    });
  }
});
