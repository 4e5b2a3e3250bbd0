/** Import directions hold in this checkout, and every rule catches a breach planted for it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { cruiseImports, importRules } from '../.ci/imports.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** A checkout that breaks exactly one rule: paths to import lines. */
type Plant = Readonly<Record<string, string>>;

const plants: Readonly<Record<string, Plant>> = {
  'no-circular': { 'core/engine/a.ts': "import './b.ts';", 'core/engine/b.ts': "import type {} from './a.ts';" },
  'no-unresolved': { 'core/engine/a.ts': "import './gone.ts';" },
  'contracts-import-nothing': { 'core/contracts/a.ts': "import type { Server } from 'node:http';" },
  'core-knows-no-plugin': { 'core/kernel/a.ts': "import '../../plugins/p/index.ts';", 'plugins/p/index.ts': '' },
  'engine-sees-contracts': { 'core/engine/a.ts': "import '../kernel/b.ts';", 'core/kernel/b.ts': '' },
  'replication-sees-engine': { 'core/replication/a.ts': "import '../kernel/b.ts';", 'core/kernel/b.ts': '' },
  'nobody-imports-the-cli': { 'core/kernel/a.ts': "import '../cli/b.ts';", 'core/cli/b.ts': '' },
  'plugins-see-contracts': { 'plugins/p/a.ts': "import '../../core/engine/b.ts';", 'core/engine/b.ts': '' },
  'plugins-stand-alone': { 'plugins/p/a.ts': "await import('../q/index.ts');", 'plugins/q/index.ts': '' },
  'nothing-imports-test': { 'harness/a.ts': "import '../test/b.ts';", 'test/b.ts': '' },
  'published-code-has-runtime-dependencies': { 'harness/a.ts': "import fc from 'fast-check';" },
  'awilix-in-one-place': { 'core/kernel/site.ts': "import { asValue } from 'awilix';" },
  'tapable-in-one-place': { 'plugins/p/index.ts': "import { SyncHook } from 'tapable';" },
  'yargs-in-one-place': { 'core/kernel/site.ts': "import yargs from 'yargs';" },
};

const allowed: Plant = {
  'core/contracts/index.ts': "export type {} from './model.ts';",
  'core/contracts/model.ts': '',
  'core/engine/a.ts': "import '../contracts/index.ts';",
  'core/replication/a.ts': "import '../engine/a.ts'; import '../contracts/index.ts';",
  'core/kernel/container.ts': "import 'awilix'; import '../engine/a.ts';",
  'core/kernel/hooks.ts': "import 'tapable';",
  'core/kernel/shipped-plugins.ts': "await import('../../plugins/p/index.ts');",
  'core/cli/serve.ts': "import 'yargs'; import '../kernel/container.ts';",
  'plugins/p/index.ts': "import '../../core/contracts/index.ts'; import './own.ts'; import 'saxes';",
  'plugins/p/own.ts': "import { createServer } from 'node:http';",
  'harness/index.ts': "import '../core/engine/a.ts'; import '../plugins/p/index.ts';",
};

async function cruisePlanted(files: Plant) {
  const root = mkdtempSync(join(tmpdir(), 'skerry-imports-'));
  try {
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    writeFileSync(join(root, 'package.json'), JSON.stringify(plantedPackage));
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), `${text}\nexport {};\n`);
    }
    return await cruiseImports(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

const plantedPackage = {
  name: 'planted',
  type: 'module',
  dependencies: { awilix: '*', tapable: '*', yargs: '*', saxes: '*' },
  devDependencies: { 'fast-check': '*' },
};

describe('import directions', () => {
  test('this checkout keeps them', async () => {
    assert.deepEqual((await cruiseImports(ROOT)).breaches, []);
  });

  test('every rule has a planted breach', () => {
    assert.deepEqual(importRules.forbidden.map(({ name }) => name).toSorted(), Object.keys(plants).toSorted());
  });

  for (const [name, files] of Object.entries(plants)) {
    test(`${name} catches its planted breach`, async () => {
      const { breaches } = await cruisePlanted(files);
      assert.ok(breaches.length > 0, 'nothing was reported');
      assert.deepEqual([...new Set(breaches.map(({ rule }) => rule))], [name]);
    });
  }

  test('the directions that architecture.md allows are not breaches', async () => {
    assert.deepEqual((await cruisePlanted(allowed)).breaches, []);
  });

  test('a checkout in which nothing was seen is an error, not a pass', async () => {
    await assert.rejects(cruisePlanted({}), /saw 0 modules/);
  });
});
