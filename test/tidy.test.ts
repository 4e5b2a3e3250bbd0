/** Style as a test: the rules hold for every file of the repository, and each rule catches what is planted for it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { determinism } from './tidy/determinism.ts';
import { machinePlaces, markers, silencedTests, topLevel } from './tidy/leftovers.ts';
import { plants } from './tidy/plants.ts';
import { fileLength, functionLength } from './tidy/size.ts';
import { listFiles, readSource, type Rule, type SourceFile } from './tidy/source.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const rules: Readonly<Record<string, Rule>> = {
  fileLength,
  functionLength,
  markers,
  silencedTests,
  machinePlaces,
  topLevel,
  determinism,
};

const files: readonly SourceFile[] = listFiles(ROOT).flatMap((path) => readSource(ROOT, path) ?? []);

describe('tidy', () => {
  test('saw the repository', () => {
    const paths = files.map(({ path }) => path);
    for (const path of ['package.json', 'core/contracts/index.ts', 'test/tidy.test.ts'])
      assert.ok(paths.includes(path));
  });

  test('every rule has plants', () => {
    assert.deepEqual(Object.keys(plants), Object.keys(rules));
  });

  for (const [name, rule] of Object.entries(rules)) {
    test(`${name} holds for every file`, () => {
      const found = files.flatMap((file) => rule(file).map(({ path, line, message }) => `${path}:${line} ${message}`));
      assert.equal(found.join('\n'), '');
    });

    test(`${name} catches what is planted and lets pass what is not a breach`, () => {
      const { caught, passed } = plants[name] ?? { caught: [], passed: [] };
      const message = (file: SourceFile): string => `${file.path}: ${file.text.slice(0, 200)}`;
      assert.ok(caught.length > 0 && passed.length > 0);
      for (const file of caught) assert.notEqual(rule(file).length, 0, `not caught: ${message(file)}`);
      for (const file of passed) assert.deepEqual(rule(file), [], `not a breach: ${message(file)}`);
    });
  }

  test('a finding names the line', () => {
    const [found] = determinism({ path: 'core/a.ts', text: 'f();\n\nDate.now();\n' });
    assert.equal(found?.line, 3);
    assert.match(found.message, /Clock port/);
  });
});
