/** One op id, one content, everywhere and for ever: an op is never re-stamped, re-derived or re-authored. */
import { canonicalJson } from './dump.ts';
import type { Checker } from './checker.ts';

export function opIdentityChecker(): Checker {
  const contents = new Map<string, string>();
  return {
    name: 'op-identity',
    onLost(ops) {
      // whoever is set back may write them anew
      for (const { dot } of ops) contents.delete(`${dot.origin}:${dot.seq}`);
    },
    onCommit({ site, ops }, view) {
      for (const op of ops) {
        const id = `${op.dot.origin}:${op.dot.seq}`;
        const content = canonicalJson(op);
        const known = contents.get(id);
        if (known !== undefined && known !== content) {
          view.fail('op-identity', `${site.name} has another op ${id}: ${content}, elsewhere ${known}`);
        }
        contents.set(id, content);
      }
    },
  };
}
