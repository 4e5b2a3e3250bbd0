/** A start that fails at its very end, while an empty site waits for its peers, leaves nothing open either. */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';

import {
  definePlugin,
  SkerryError,
  type Lifecycle,
  type MetaStore,
  type Plugin,
  type PluginKind,
} from '../../core/contracts/index.ts';
import { createSite, loadConfig } from '../../core/index.ts';
import { findShipped } from '../../core/kernel/plugin-loader.ts';
import { nodeFiles } from '../../core/kernel/runtime/files.ts';
import { withDirectory } from './fixtures/site.ts';

async function shipped(kind: PluginKind, use: string): Promise<Plugin> {
  const found = await findShipped(kind, use);
  if ('problem' in found) throw new Error(found.problem);
  return found.plugin;
}

type Create<Port> = (deps: unknown, options: unknown) => Port;

function changed<Port extends Lifecycle>(plugin: Plugin, change: (port: Port) => void): Plugin {
  const make = plugin.create as unknown as Create<Port>;
  const create: Create<Port> = (deps, options) => {
    const port = make(deps, options);
    change(port);
    return port;
  };
  return definePlugin({ ...plugin, create: create as unknown as Plugin['create'] });
}

test('a disk that fails while the site joins: everything is closed, the directory is free', async () => {
  await withDirectory(async (dataDir) => {
    const events: string[] = [];
    let isBroken = false;
    const metaStore = changed<MetaStore>(await shipped('meta-store', 'memory'), (port) => {
      const [get, close] = [port.get.bind(port), port.close.bind(port)];
      port.get = async (keys) => {
        if (isBroken) throw new SkerryError('Internal', 'the disk is gone');
        return get(keys);
      };
      port.close = async () => {
        events.push('close metaStore');
        await close();
      };
    });
    const gateway = changed<Lifecycle>(await shipped('gateway', 's3'), (port) => {
      const [open, close] = [port.open.bind(port), port.close.bind(port)];
      port.open = async () => {
        await open();
        isBroken = true;
      };
      port.close = async () => {
        events.push('close gateway');
        await close();
      };
    });
    const start = async (): Promise<void> => {
      const loaded = await loadConfig({
        values: {
          plugins: {
            metaStore: { use: 'store' },
            chunkStore: { use: 'memory' },
            transport: { use: 'memory' },
            gateways: [{ use: 'gate', listen: '127.0.0.1:0' }],
          },
          replication: { peers: [{ site: 'ber', url: 'memory://hub/ber' }], joinWaitMs: 0 },
          admin: { enabled: false },
          log: { level: 'silent' },
        },
        env: {},
        flags: { dataDir },
        cwd: tmpdir(),
        files: nodeFiles,
        plugins: { store: metaStore, gate: gateway },
      });
      await createSite(loaded).start();
    };
    await assert.rejects(start(), /the disk is gone/);
    assert.deepEqual(events, ['close gateway', 'close metaStore']);
    isBroken = false;
    await assert.rejects(start(), /the disk is gone/, 'and not that the directory is locked');
  });
});
