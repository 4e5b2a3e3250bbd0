/**
 * Patches one source file as it is loaded in this thread. The file on disk stays as it is, so that no planted bug can be reached from
 * anything that runs without this loader.
 */
import { registerHooks } from 'node:module';
import { mutations } from './index.ts';
import type { Mutation } from './mutation.ts';

const ROOT = new URL('../../', import.meta.url);

/** Call before anything imports the file. */
export function plantMutation(name: string): void {
  const mutation = mutations.find((one) => one.name === name);
  if (mutation === undefined) throw new RangeError(`no mutation is called ${name}`);
  plant(mutation);
}

/** The same with a patch that is given. */
export function plant(mutation: Omit<Mutation, 'rule' | 'world'>): void {
  const url = new URL(mutation.file, ROOT).href;
  let isPlanted = false;
  registerHooks({
    load(loaded, context, next) {
      const module = next(loaded, context);
      if (loaded !== url) return module;
      if (isPlanted) throw new Error(`${mutation.file} is loaded twice`);
      isPlanted = true;
      const source =
        typeof module.source === 'string' ? module.source : Buffer.from(module.source as Uint8Array).toString();
      return { ...module, source: patched(source, mutation) };
    },
  });
}

export function patched(
  source: string,
  { name, find, replace }: { readonly name: string; readonly find: string; readonly replace: string },
): string {
  const parts = source.split(find);
  if (parts.length !== 2) throw new Error(`mutation ${name}: its text occurs ${parts.length - 1} times, not once`);
  return parts.join(replace);
}
