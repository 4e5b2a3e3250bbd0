/**
 * For store.test.ts: commits rows 0, 1, 2, ... into the store at argv[2] and prints each number when it is durable. With
 * argv[3], values have that many bytes, and the first commit that fails ends it: it prints the code and whether reads still
 * show exactly what was acknowledged.
 */
import type { SkerryError } from '../../../core/contracts/index.ts';
import plugin from '../../../plugins/meta-sqlite/index.ts';
import type { Options } from '../../../plugins/meta-sqlite/options.ts';
import { defaultOptions, pluginDeps } from '../../support/plugin-deps.ts';

const [path = '', valueBytes = '200'] = process.argv.slice(2);
const store = plugin.create(pluginDeps(path), defaultOptions<Options>(plugin.options));
await store.open();
const rows = (): Promise<number> => store.scan({ space: 'heads', limit: 10_000 }).then(({ length }) => length);
const before = await rows();

async function writeRows(): Promise<void> {
  for (let number = before; ; number++) {
    const row = {
      space: 'heads',
      key: new TextEncoder().encode(String(number)),
      value: new Uint8Array(Number(valueBytes)),
    } as const;
    try {
      await store.transact({}, () => ({ kind: 'write', writes: [row], result: undefined }));
    } catch (error) {
      const stateKept = (await rows()) === number;
      console.log(JSON.stringify({ code: (error as SkerryError).code, stateKept }));
      return;
    }
    console.log(String(number));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

await writeRows();
process.exit(0);
