/** Keys are read anew when another site has changed some: never as they were before a change that came meanwhile. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MetaReader, MetaStore } from '../../core/contracts/index.ts';
import { createIdentities } from '../../core/engine/identities.ts';
import { createNodeRuntime } from '../../core/kernel/runtime/index.ts';
import { committerOf } from './cut-support.ts';
import { silentLogger } from './fake-stores.ts';
import { memoryStore } from './support.ts';

const { runtime } = createNodeRuntime(silentLogger);

/** Answers of the store, each held back until it is let go. */
class HeldReader implements Pick<MetaReader, 'get' | 'scan'> {
  readonly #store: MetaStore;
  readonly #held: (() => void)[] = [];
  isHolding = false;
  scans = 0;

  constructor(store: MetaStore) {
    this.#store = store;
  }

  get: MetaReader['get'] = (keys) => this.#store.get(keys);

  scan: MetaReader['scan'] = async (range) => {
    this.scans++;
    const rows = await this.#store.scan(range);
    if (this.isHolding) await new Promise<void>((resolve) => this.#held.push(resolve));
    return rows;
  };

  /** The last answer first. */
  letGo(): void {
    this.isHolding = false;
    for (const go of this.#held.splice(0).toReversed()) go();
  }
}

async function site() {
  const store = await memoryStore();
  const reader = new HeldReader(store);
  const deps = { ...runtime, reader, committer: committerOf(store), configIdentities: [], siteId: 'd' };
  const open = async (given: MetaReader) => {
    const identities = createIdentities({ ...deps, reader: given, sealingKeys: [new Uint8Array(32)] });
    await identities.open();
    return identities;
  };
  // the other one stands for another site whose ops arrive here
  return { reader, here: await open(reader), elsewhere: await open(store) };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('keys that are read anew', () => {
  test('do not lose the one that is made here meanwhile, nor bring back what is disabled or removed here', async () => {
    const { here, reader } = await site();
    const [disabled, removed] = [await here.create({ policy: 'rw' }), await here.create({ policy: 'rw' })];
    reader.isHolding = true;
    const reading = here.open();
    await turn();
    const made = await here.create({ policy: 'rw' });
    await here.setEnabled(disabled.accessKeyId, false);
    await here.remove(removed.accessKeyId);
    reader.letGo();
    await reading;
    assert.equal(here.find(made.accessKeyId)?.secretKey, made.secretKey);
    assert.equal(here.find(disabled.accessKeyId)?.enabled, false);
    assert.equal(here.find(removed.accessKeyId), undefined);
  });

  test('once more while they are being read are those of the last time, whichever answer comes first', async () => {
    const { here, elsewhere, reader } = await site();
    const { accessKeyId } = await elsewhere.create({ policy: 'rw' });
    reader.isHolding = true;
    const first = here.open();
    await turn();
    await elsewhere.remove(accessKeyId);
    const second = here.open();
    await turn();
    reader.letGo();
    await Promise.all([first, second]);
    assert.equal(here.find(accessKeyId), undefined);
  });

  test('a hundred times at once are not read a hundred times', async () => {
    const { here, reader } = await site();
    const before = reader.scans;
    await Promise.all(Array.from({ length: 100 }, () => here.open()));
    assert.ok(reader.scans - before <= 2, `${reader.scans - before} scans`);
  });
});
