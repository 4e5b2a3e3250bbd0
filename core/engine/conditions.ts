/** Conditional writes, decided inside the commit against this site's own state (rule 19). */
import { SkerryError, type WriteCondition } from '../contracts/index.ts';
import type { VersionRecord } from './records.ts';

/** Throws unless `condition` holds for the current version (`undefined` or a delete marker: there is none). */
export function checkCondition(
  condition: WriteCondition | undefined,
  key: string,
  current: VersionRecord | undefined,
): void {
  if (!condition) return;
  const live = current?.marker ? undefined : current;
  if (requiresPresence(condition) && !live) {
    throw new SkerryError('NoSuchKey', 'The specified key does not exist', { details: { key } });
  }
  const etag = live?.content?.etag;
  const listed = (etags: readonly string[]): boolean => etags.some((wanted) => wanted === '*' || wanted === etag);
  refuseUnless(!condition.ifMatch || listed(condition.ifMatch), key, 'If-Match');
  refuseUnless(!condition.ifNoneMatch || !live || !listed(condition.ifNoneMatch), key, 'If-None-Match');
  refuseUnless(
    condition.ifMatchSize === undefined || condition.ifMatchSize === live?.content?.size,
    key,
    'x-amz-if-match-size',
  );
  refuseUnless(
    condition.ifMatchModifiedAtMs === undefined || sameSecond(condition.ifMatchModifiedAtMs, live?.modifiedAtMs),
    key,
    'x-amz-if-match-last-modified-time',
  );
}

function requiresPresence({ ifMatch, ifMatchSize, ifMatchModifiedAtMs }: WriteCondition): boolean {
  return ifMatch !== undefined || ifMatchSize !== undefined || ifMatchModifiedAtMs !== undefined;
}

/** Times come in HTTP dates, which have whole seconds. */
function sameSecond(a: number, b: number | undefined): boolean {
  return b !== undefined && Math.floor(a / 1000) === Math.floor(b / 1000);
}

function refuseUnless(holds: boolean, key: string, condition: string): void {
  if (holds) return;
  throw new SkerryError('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', {
    details: { key, condition },
  });
}
