/**
 * A read sees what its site had when it ran: every write acknowledged there before it, nothing that was never written, and the
 * very bytes. Of versions that other sites wrote, bytes may still be on their way.
 */
import type { Op } from '../../core/contracts/index.ts';
import type { CallRecord } from '../workload/history.ts';
import type { Checker, SiteView, WorldView } from './checker.ts';
import { modelBucket, modelKey } from './model.ts';

export function readChecker(): Checker {
  return {
    name: 'reads',
    onCall(call, view) {
      const { op, outcome } = call;
      if (op.type !== 'get' || outcome.kind === 'lost' || outcome.kind === 'down') return;
      const site = view.sites.find(({ name }) => name === call.site);
      // a site that lost its disks under the call has another history now
      if (site === undefined || call.appliedAfter < call.appliedBefore || site.record.wasMergingSince(call.beganMs))
        return;
      if (site.isStopping && outcome.kind === 'refused' && outcome.code === 'Closed') return;
      const seen = outcome.kind === 'done' && outcome.seen.type === 'read' ? outcome.seen : undefined;
      if (seen !== undefined && seen.sha256 !== seen.wanted) {
        view.fail('reads', `${call.step} read bytes ${seen.sha256}, written were ${seen.wanted}`);
      }
      const answer = seen?.stamp ?? (outcome.kind === 'refused' ? outcome.code : '');
      if (!possibleAnswers(call, site, view).some((possible) => possible(answer))) {
        const why = outcome.kind === 'refused' ? ` (${outcome.message})` : '';
        view.fail(
          'reads',
          `${call.step} at ${call.site} read ${op.bucket}/${op.key} and got ${answer}, which it never was${why}`,
        );
      }
    },
  };
}

type Possible = (answer: string) => boolean;

/** One for each state that the key had while the call ran. */
function possibleAnswers({ op, appliedBefore, appliedAfter }: CallRecord, site: SiteView, view: WorldView): Possible[] {
  if (op.type !== 'get') return [];
  const { bucket, key } = op;
  const ops = site.record.ops;
  const possible: Possible[] = [];
  for (let count = appliedBefore; count <= appliedAfter; count++) {
    const last = ops[count - 1]?.body;
    const isNews = last !== undefined && 'bucket' in last && last.bucket === bucket;
    if (count === appliedBefore || isNews) possible.push(answerOf(ops.slice(0, count), bucket, key, site, view));
  }
  return possible;
}

function answerOf(ops: readonly Op[], bucket: string, key: string, site: SiteView, view: WorldView): Possible {
  if (!modelBucket(ops, bucket).exists) return (answer) => answer === 'NoSuchBucket';
  // what an earlier incarnation wrote may have been lost, and come back from a peer
  const isForeign = ({ dot }: Op): boolean => dot.origin !== `${site.name}.${site.incarnation}`;
  const current = (of: readonly Op[]): string => {
    const winner = modelKey(of, bucket, key).live[0];
    return winner === undefined || winner.put.marker ? 'NoSuchKey' : winner.stamp;
  };
  return (answer) => {
    if (answer === current(ops)) return true;
    if (!ops.some(isForeign)) return false;
    if (answer === 'Unavailable') return !view.movesBytes;
    // an older version, while the bytes of newer ones are still on their way here
    const onTheirWay = ops.filter(
      (op) => isForeign(op) && op.body.type === 'version.put' && op.body.content !== undefined,
    );
    // what the version on its way replaces went when a delete marker hid both, and the marker was removed
    const isBare = onTheirWay.some(({ stamp }) => stamp === current(ops)) && ops.some(isRemovalOf(bucket, key));
    if (answer === 'NoSuchKey' && isBare) return view.movesBytes;
    const isPossible = ({ stamp }: Op): boolean =>
      answer === current(ops.filter((op) => op.stamp < stamp || !onTheirWay.includes(op)));
    return view.movesBytes && onTheirWay.some(isPossible);
  };
}

const isRemovalOf =
  (bucket: string, key: string) =>
  ({ body }: Op): boolean =>
    body.type === 'version.remove' && body.bucket === bucket && body.key === key;
