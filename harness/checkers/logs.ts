/** A site that nothing was done to has no errors to log. */
import type { Checker } from './checker.ts';

/** What a power cut leaves in a file that was being written, as the store that finds it says. */
const TORN = 'damage lies before good records';

/** What a site says whose disks were set back to a backup or are a copy, unnoticed, when a peer knows better. */
const SET_BACK = 'this site was restored or cloned: replication stands still';
/** What a site says of records that bit rot was made under. */
const OF_ROT: ReadonlySet<string> = new Set([
  'stored bytes are damaged or gone',
  'a damaged chunk was not given to a peer',
]);
/** What a site says when a frame was changed on its way. */
const OF_DAMAGE: ReadonlySet<string> = new Set([
  'a peer sent a chunk that is not what was asked for',
  'an op of another site was refused',
  'bytes that came with ops are wrong: all left aside',
  'a peer sent what the protocol does not have',
]);

export function logChecker(): Checker {
  return {
    name: 'logs',
    onLog({ level, site, message, fields }, view) {
      if (level !== 'error') return;
      const judged = view.sites.find(({ name }) => site.startsWith(`${name}/`));
      if (view.network.met.corrupted > 0 && OF_DAMAGE.has(message)) return;
      if (message === SET_BACK && (judged === undefined || judged.restores > 0)) return;
      if (OF_ROT.has(message) && (judged?.faults.rotten ?? 0) > 0) return;
      if ((judged?.faults.met ?? 0) > 0 || (message === TORN && (judged?.crashes ?? 0) > 0)) return;
      const cause = (fields as { readonly err?: unknown }).err;
      view.fail(
        'logs',
        `${site}: ${message}: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`,
      );
    },
  };
}
