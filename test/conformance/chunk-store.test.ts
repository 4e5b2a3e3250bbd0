import assert from 'node:assert/strict';
import fsp from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { suite, test } from 'node:test';
import type { ChunkStore } from '../../core/contracts/index.ts';
import { nodeFiles } from '../../core/kernel/runtime/files.ts';
import { chunkStoreConformance } from '../../harness/conformance/chunk-store.ts';
import { CHUNK_STORE_MUTANTS } from '../../harness/conformance/mutants/chunk-store.ts';
import { collectTests, runTests } from '../../harness/conformance/runner.ts';
import type { Fixture } from '../../harness/conformance/runner.ts';
import { SimDisk } from '../../harness/sim/disk.ts';
import chunksFs from '../../plugins/chunks-fs/index.ts';
import chunksMemory from '../../plugins/chunks-memory/index.ts';
import { depsOver, seeded, SMALL_OPTIONS, storeOver } from '../plugins/chunks-fs/fixture.ts';

async function onDisk(): Promise<Fixture<ChunkStore>> {
  const directory = await fsp.mkdtemp(path.join(os.tmpdir(), 'skerry-chunks-'));
  const again = (): ChunkStore => chunksFs.create(depsOver(nodeFiles, directory), SMALL_OPTIONS);
  return { port: again(), again, cleanup: () => fsp.rm(directory, { recursive: true }) };
}

async function simulated(): Promise<Fixture<ChunkStore>> {
  const disk = new SimDisk({ random: seeded(1) });
  return { port: storeOver(disk), again: () => storeOver(disk) };
}

suite('chunks-memory', () => {
  const deps = depsOver(new SimDisk({ random: seeded(1) }), '/none');
  const create = async (): Promise<Fixture<ChunkStore>> => ({ port: chunksMemory.create(deps, { capacityBytes: 0 }) });
  chunkStoreConformance({ test, create, supports: chunksMemory.supports });
});

suite('chunks-fs', () => {
  chunkStoreConformance({ test, create: onDisk, supports: chunksFs.supports });
});

suite('chunks-fs on a simulated disk', () => {
  chunkStoreConformance({ test, create: simulated, supports: chunksFs.supports, runs: 100 });
});

suite('the kit fails every mutant', () => {
  for (const [name, Mutant] of Object.entries(CHUNK_STORE_MUTANTS)) {
    test(name, async () => {
      const create = async (): Promise<Fixture<ChunkStore>> => {
        const { port, again } = await simulated();
        return { port: new Mutant(port), ...(again === undefined ? {} : { again }) };
      };
      const tests = collectTests((register) =>
        chunkStoreConformance({ test: register, create, supports: chunksFs.supports }),
      );
      const outcomes = await runTests(tests, { untilFailure: true });
      assert.ok(
        outcomes.some((outcome) => !outcome.passed),
        `${name} passed all ${outcomes.length} tests`,
      );
    });
  }
});
