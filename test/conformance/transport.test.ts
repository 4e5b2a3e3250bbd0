/** Both shipped transports keep the contract, and the kit notices when one does not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { honestTransports, transportMutants } from '../../harness/conformance/mutants/transport.ts';
import { collectTests, runTests, type TestOutcome } from '../../harness/conformance/runner.ts';
import { transportConformance, type TransportNetwork } from '../../harness/conformance/transport.ts';
import { MemoryTransport } from '../../plugins/transport-memory/transport.ts';
import { createMemoryHub } from '../../plugins/transport-memory/hub.ts';
import type { Options } from '../../plugins/transport-http/options.ts';
import http from '../../plugins/transport-http/index.ts';
import memory from '../../plugins/transport-memory/index.ts';
import { defaultOptions, pluginDeps } from '../support/plugin-deps.ts';

async function inMemory(): Promise<TransportNetwork> {
  const hub = createMemoryHub();
  return { transports: [new MemoryTransport(hub), new MemoryTransport(hub), new MemoryTransport(hub)] };
}

function overHttp(overrides: Partial<Options>): () => Promise<TransportNetwork> {
  const options = defaultOptions<Options>(http.options, {
    listen: { host: '127.0.0.1', port: 0 },
    clusterKey: 'a cluster key that is long enough',
    ...overrides,
  });
  const make = () => http.create(pluginDeps('unused'), options);
  return async () => ({ transports: [make(), make(), make()] });
}

describe('transport-memory', () => {
  transportConformance({ test, supports: memory.supports, create: inMemory });
});

describe('transport-http', () => {
  transportConformance({ test, supports: http.supports, create: overHttp({}) });
});

describe('transport-http with gzip', () => {
  transportConformance({ test, supports: http.supports, create: overHttp({ compression: 'gzip' }), runs: 5 });
});

describe('the kit', () => {
  type Wrap = (network: TransportNetwork) => TransportNetwork;
  const run = (wrap: Wrap): Promise<readonly TestOutcome[]> => {
    const create = async (): Promise<TransportNetwork> => wrap(await inMemory());
    const kit = collectTests((register) =>
      transportConformance({ test: register, supports: memory.supports, create, runs: 5, patienceMs: 1000 }),
    );
    return runTests(kit, { untilFailure: true });
  };

  test('passes the wrapper that the mutants are made of', async () => {
    assert.deepEqual(
      (await run(honestTransports)).filter(({ passed }) => !passed),
      [],
    );
  });

  for (const [bug, wrap] of Object.entries<Wrap>(transportMutants)) {
    test(`fails a transport that ${bug}`, async (context) => {
      const failed = (await run(wrap)).find(({ passed }) => !passed);
      assert.ok(failed !== undefined, 'the mutant survived');
      context.diagnostic(`caught by: ${failed.title}`);
    });
  }
});
