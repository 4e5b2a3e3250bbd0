import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
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

const plantedFaults = `import { test } from 'node:test';
async function work(): Promise<void> {}
export async function run(): Promise<void> {
  work();
  if (work()) return;
}
test('is not a floating promise', () => {});
`;

test('the linter reads types: it catches a planted floating promise and a misused one', () => {
  const folder = mkdtempSync(join(tmpdir(), 'skerry-lint-'));
  try {
    for (const name of ['.oxlintrc.json', 'tsconfig.json']) copyFileSync(join(ROOT, name), join(folder, name));
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'planted.ts'), plantedFaults);
    const oxlint = join(ROOT, 'node_modules/.bin/oxlint');
    const { stdout, status } = spawnSync(oxlint, ['--format', 'json'], { cwd: folder, encoding: 'utf8' });
    const { diagnostics } = JSON.parse(stdout) as {
      diagnostics: { code: string; labels: { span: { line: number } }[] }[];
    };
    assert.equal(status, 1, stdout);
    assert.deepEqual(
      diagnostics.map(({ code, labels }) => [code, labels[0]?.span.line]),
      [
        ['typescript(no-floating-promises)', 4],
        ['typescript(no-misused-promises)', 5],
      ],
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
