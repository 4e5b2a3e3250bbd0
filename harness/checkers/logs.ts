/** A site that nothing was done to has no errors to log. */
import type { Checker } from './checker.ts';

/** What a power cut leaves in a file that was being written, as the store that finds it says. */
const TORN = 'damage lies before good records';

export function logChecker(): Checker {
  return {
    name: 'logs',
    onLog({ level, site, message, fields }, view) {
      if (level !== 'error') return;
      const judged = view.sites.find(({ name }) => site.startsWith(`${name}/`));
      if ((judged?.faults.met ?? 0) > 0 || (message === TORN && (judged?.crashes ?? 0) > 0)) return;
      const cause = (fields as { readonly err?: unknown }).err;
      view.fail(
        'logs',
        `${site}: ${message}: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`,
      );
    },
  };
}
