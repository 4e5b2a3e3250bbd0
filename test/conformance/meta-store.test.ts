/** Both shipped meta-stores keep the contract, and the kit notices when one does not. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import type { MetaStore } from '../../core/contracts/index.ts';
import { metaStoreConformance } from '../../harness/conformance/meta-store.ts';
import { honestMetaStore, metaStoreMutants } from '../../harness/conformance/mutants/meta-store.ts';
import { collectTests, runTests, type Fixture, type TestOutcome } from '../../harness/conformance/runner.ts';
import memory from '../../plugins/meta-memory/index.ts';
import type { Options } from '../../plugins/meta-sqlite/options.ts';
import sqlite from '../../plugins/meta-sqlite/index.ts';
import { defaultOptions, pluginDeps, temporaryDirectory } from '../support/plugin-deps.ts';

/** Syncs are off here: what they promise is a matter of power cuts, which no kit can see. */
const options = defaultOptions<Options>(sqlite.options, { synchronous: 'off' });

async function createSqlite(): Promise<Fixture<MetaStore>> {
  const { path, remove } = await temporaryDirectory();
  const open = (): MetaStore => sqlite.create(pluginDeps(join(path, 'meta')), options);
  return { port: open(), again: open, cleanup: remove };
}

describe('meta-memory', () => {
  const deps = pluginDeps('unused');
  metaStoreConformance({ test, supports: memory.supports, create: async () => ({ port: memory.create(deps, {}) }) });
});

describe('meta-sqlite', () => {
  metaStoreConformance({ test, supports: sqlite.supports, create: createSqlite, runs: 15 });
});

describe('the kit', () => {
  const run = (create: () => MetaStore): Promise<readonly TestOutcome[]> => {
    const fixture = async (): Promise<Fixture<MetaStore>> => ({ port: create() });
    const supports = { durable: false, shared: false };
    const kit = collectTests((register) => metaStoreConformance({ test: register, supports, create: fixture }));
    return runTests(kit, { untilFailure: true });
  };

  test('passes the wrapper that the mutants are made of', async () => {
    const failed = (await run(honestMetaStore)).filter(({ passed }) => !passed);
    assert.deepEqual(failed, []);
  });

  for (const [bug, create] of Object.entries(metaStoreMutants)) {
    test(`fails a store that ${bug}`, async (context) => {
      const failed = (await run(create)).find(({ passed }) => !passed);
      assert.ok(failed !== undefined, 'the mutant survived');
      context.diagnostic(`caught by: ${failed.title}`);
    });
  }
});
