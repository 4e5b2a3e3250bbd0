import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const lock = readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8');

test('scripts run on Node 24 whatever Node the machine has', () => {
  assert.equal(process.versions.node.split('.')[0], '24');
});

test('the lock file names no registry host', () => {
  assert.doesNotMatch(lock, /"resolved"/);
});

test('the lock file has an entry for every optional package it names, so that npm ci accepts it', () => {
  const packages = (JSON.parse(lock) as { packages: Record<string, { optionalDependencies?: Record<string, string> }> })
    .packages;
  const missing = Object.values(packages)
    .flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}))
    .filter((name) => !Object.keys(packages).some((path) => path.endsWith(`node_modules/${name}`)));
  assert.deepEqual(missing, []);
});
