/**
 * What a site acknowledged it did, as it was asked, before it said so; what it refused changed nothing. At the end every
 * acknowledged write is current, an older version, a listed conflict, or was removed by an op that had seen it.
 */
import type { Op, VersionPut } from '../../core/contracts/index.ts';
import type { CallRecord, Seen } from '../workload/history.ts';
import type { Checker, SiteView, WorldView } from './checker.ts';
import { modelBucket, modelKey, saw } from './model.ts';

export function acknowledgedChecker(): Checker {
  const acknowledged: { readonly stamp: string; readonly site: string }[] = [];
  const refused = new Set<string>();
  const lost = new Set<string>();
  return {
    name: 'acknowledged',
    onCall(call, view) {
      const site = view.sites.find(({ name }) => name === call.site);
      if (site === undefined || call.appliedAfter < call.appliedBefore) return;
      const isClear = !site.record.wasMergingSince(call.beganMs);
      const fail = (message: string): void =>
        view.fail('acknowledged', `${call.step} (${call.op.type}) at ${call.site}: ${message}`);
      if (call.outcome.kind === 'refused') {
        if (isBug(call, view)) fail(`${call.outcome.code}: ${call.outcome.message}`);
        if (call.op.type === 'put') refused.add(call.step);
      }
      if (call.outcome.kind !== 'done') return;
      const { seen } = call.outcome;
      if (seen.type === 'written') {
        acknowledged.push({ stamp: seen.stamp, site: call.site });
        if (isClear) checkWrite(call, seen, site.record.ops, fail);
      } else if (isClear) checkEffect(call, seen, site.record.ops, fail);
    },
    onCommit({ ops }, view) {
      for (const op of ops) {
        const step = stepOf(op);
        if (step !== undefined && refused.has(step))
          view.fail('acknowledged', `${step} was refused and yet it is op ${op.stamp}`);
      }
    },
    onLost(ops) {
      for (const { stamp } of ops) lost.add(stamp);
    },
    async atEnd(view) {
      for (const { stamp, site } of acknowledged.filter((write) => !lost.has(write.stamp))) {
        const judges = view.replicates ? view.sites : view.sites.filter(({ name }) => name === site);
        for (const judge of judges) accountFor(stamp, site, judge, view);
      }
    },
  };
}

const stepOf = ({ body }: Op): string | undefined =>
  body.type === 'version.put' ? body.content?.metadata['step'] : undefined;

/** The codes that a refusal may have, whatever was asked: the world's fault, or what the workload provokes. */
const FAIR = new Set([
  'NoSuchBucket',
  'NoSuchKey',
  'NoSuchVersion',
  'NoSuchUpload',
  'BucketNotEmpty',
  'BucketAlreadyOwnedByYou',
  'BucketAlreadyExists',
  'PreconditionFailed',
  'MethodNotAllowed',
  'ObjectLocked',
  'Conflict',
  'Closed',
  'OutOfSpace',
  'Io',
  'Unavailable',
  'ClockUntrusted',
]);

function isBug({ op, outcome }: CallRecord, { replicates }: WorldView): boolean {
  if (outcome.kind !== 'refused') return false;
  // nothing that a site alone works on is ever missing
  if (op.type === 'key' && (outcome.code === 'AlreadyExists' || outcome.code === 'NotFound')) return false;
  if (FAIR.has(outcome.code)) return outcome.code === 'Unavailable' && !replicates;
  if (outcome.code === 'InvalidPart') return op.type !== 'multipart' || op.resend === undefined;
  return !(outcome.code === 'IncompleteBody' && op.type === 'put' && op.stream?.breaksOff === true);
}

type Fail = (message: string) => void;

function checkWrite(
  call: CallRecord,
  seen: Extract<Seen, { readonly type: 'written' }>,
  ops: readonly Op[],
  fail: Fail,
): void {
  const index = ops.findIndex(({ stamp }) => stamp === seen.stamp);
  const op = ops[index];
  if (op?.body.type !== 'version.put') return fail(`acknowledged ${seen.stamp}, which is not on its disk`);
  const { bucket, key, nullVersion, content } = op.body;
  const target = targetOf(call);
  if (bucket !== target?.bucket || key !== target.key) fail(`wrote ${bucket}/${key}`);
  if (content?.etag !== seen.etag || content.size !== seen.size) fail('the op has another content than the answer');
  if (['put', 'multipart', 'causal'].includes(call.op.type) && stepOf(op) !== call.step)
    fail(`the op is of ${stepOf(op)}`);
  const before = ops.slice(0, index);
  const { settings, isLocked } = modelBucket(before, bucket);
  const isEnabled = isLocked === true || settings?.get('versioning') === 'Enabled';
  if (settings !== undefined && nullVersion === isEnabled)
    fail(`null version: ${nullVersion}, versioning enabled: ${isEnabled}`);
  if (call.op.type !== 'put' || call.op.condition === undefined) return;
  const wantsNone = call.op.condition === 'absent';
  const holds = whatClientsMaySee(before, op.dot.origin).some((ops) => {
    const current = modelKey(ops, bucket, key).live[0];
    return (current === undefined || current.put.marker) === wantsNone;
  });
  if (!holds) fail(`its condition (${call.op.condition}) did not hold`);
}

/** Versions of other sites whose bytes are still on their way are ones that clients do not see: none, or some of the last ones. */
function whatClientsMaySee(ops: readonly Op[], home: string): readonly (readonly Op[])[] {
  const mayWait = ops.filter(({ dot, body }) => dot.origin !== home && body.type === 'version.put' && !body.marker);
  return Array.from({ length: mayWait.length + 1 }, (_, from) => {
    const waiting = new Set(mayWait.slice(from));
    return ops.filter((op) => !waiting.has(op));
  });
}

function targetOf({ op }: CallRecord): { readonly bucket: string; readonly key: string } | undefined {
  if (op.type === 'copy') return { bucket: op.toBucket, key: op.toKey };
  return 'key' in op ? op : undefined;
}

/** Something that the call said it did must be among the ops that were applied while it ran. */
function checkEffect(call: CallRecord, seen: Seen, ops: readonly Op[], fail: Fail): void {
  const { op, appliedBefore, appliedAfter } = call;
  const news = ops.slice(appliedBefore, appliedAfter).map(({ body }) => body);
  if (op.type === 'setting' && !news.some((body) => body.type === 'bucket.setting' && body.value === op.value)) {
    fail('no op sets it');
  }
  if (op.type === 'createBucket' && !news.some((body) => body.type === 'bucket.create')) fail('no op creates it');
  if (op.type === 'deleteBucket' && !news.some((body) => body.type === 'bucket.remove')) fail('no op removes it');
  if (seen.type !== 'deleted' || (op.type !== 'delete' && op.type !== 'deleteVersion')) return;
  const isGone = (count: number): boolean => {
    const { live } = modelKey(ops.slice(0, count), op.bucket, op.key);
    if (op.type === 'delete') return live[0] === undefined || live[0].put.marker;
    const id = (put: VersionPut, stamp: string): string => (put.nullVersion ? 'null' : stamp.replaceAll('!', '.'));
    return !live.some(({ put, stamp }) => id(put, stamp) === seen.versionId);
  };
  for (let count = appliedAfter; count >= appliedBefore; count--) if (isGone(count)) return;
  fail('it was there all the time');
}

function accountFor(stamp: string, author: string, { name, record }: SiteView, view: WorldView): void {
  const { ops } = record;
  const op = ops.find((one) => one.stamp === stamp);
  if (op?.body.type !== 'version.put') {
    return view.fail('acknowledged', `${name} does not have ${stamp}, which ${author} acknowledged`);
  }
  const { bucket, key, nullVersion } = op.body;
  const { live, losers } = modelKey(ops, bucket, key);
  if (live.some((version) => version.stamp === stamp) || losers.includes(stamp)) return;
  const enders = ops.filter(({ body }) => {
    if (!('key' in body) || body.bucket !== bucket || body.key !== key) return false;
    if (body.type === 'version.put') return nullVersion && body.nullVersion;
    return body.type === 'version.remove' && body.target === (nullVersion ? null : stamp);
  });
  if (!enders.some((ender) => saw(ender, op))) {
    view.fail('acknowledged', `${stamp}, acknowledged by ${author}, is gone at ${name} and no op had seen it`);
  }
}
