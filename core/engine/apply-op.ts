/**
 * The one door: local writes and replicated ops change state here and nowhere else. Pure over a transaction: state is a
 * function of the set of ops applied (rule 2), as long as each is applied after all that it had seen.
 */
import type { Op, OpBody, VersionPut, VersionRemove, VersionSetting } from '../contracts/index.ts';
import { applyBucketOp } from './apply-bucket.ts';
import type { ApplyContext, ApplyLocal } from './apply-context.ts';
import { putVersion, removeVersion, setVersionSetting } from './apply-version.ts';
import { registerIn, saveRegister } from './registers.ts';
import type { Txn } from './txn.ts';

export function applyOp(context: ApplyContext, op: Op, local: ApplyLocal = {}): void {
  switch (op.body.type) {
    case 'version.put':
      return putVersion(context, op as Op<VersionPut>, local);
    case 'version.remove':
      return removeVersion(context, op as Op<VersionRemove>);
    case 'version.setting':
      return setVersionSetting(context, op as Op<VersionSetting>);
    case 'bucket.create':
    case 'bucket.remove':
    case 'bucket.setting':
      return applyBucketOp(context, op);
    case 'principal.put':
    case 'principal.remove':
    case 'policy.put':
    case 'policy.remove':
    case 'member.put':
    case 'member.remove':
      return setRegister(context.txn, op);
    default:
    // Of a newer protocol: it is logged and relayed, and changes nothing here.
  }
}

type RegisterBody = Extract<OpBody, { readonly id: string }>;

/** Principals, policies and members: last writer wins by stamp; a removal is the value `null`, kept as its own tombstone. */
function setRegister(txn: Txn, op: Op): void {
  const body = op.body as RegisterBody;
  const [kind, verb] = body.type.split('.') as [string, string];
  const known = registerIn(txn, kind, body.id);
  if (known && known.stamp > op.stamp) return;
  saveRegister(txn, kind, body.id, { value: verb === 'put' && 'value' in body ? body.value : null, stamp: op.stamp });
}
