/** No lock is broken: a site does not remove a version that, as it knows, is held or retained (rule 10). */
import type { Op } from '../../core/contracts/index.ts';
import type { Checker, SiteView } from './checker.ts';
import { modelKey, voidedRemovals } from './model.ts';

export function lockChecker(): Checker {
  return {
    name: 'locks',
    onCommit({ site, ops }, view) {
      const judged = view.sites.find(({ name }) => name === site.name);
      for (const op of ops) {
        if (judged === undefined || op.dot.origin !== `${site.name}.${site.incarnation}`) continue;
        if (isLocked(judged, op)) view.fail('locks', `${site.name} removed with ${op.stamp} what was locked`);
      }
    },
    async atEnd(view) {
      const [first] = view.sites;
      if (first !== undefined && voidedRemovals(first.record.ops).length > 0) view.mark('a lock voided a removal');
    },
  };
}

function isLocked({ record, clock }: SiteView, op: Op): boolean {
  const { body } = op;
  if (body.type !== 'version.remove' || body.tentative !== true) return false;
  const before = record.ops.slice(0, record.ops.indexOf(op));
  const target = modelKey(before, body.bucket, body.key).live.find(({ stamp }) => stamp === body.target);
  const retention = target?.settings.get('retention') as { readonly until: number } | null | undefined;
  return target?.settings.get('legalHold') === 'ON' || (retention?.until ?? 0) > clock.wallMs();
}
