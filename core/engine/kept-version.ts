/** What only this site knows of a version's bytes, wherever the version is: also in the tombstone that keeps it (rule 10). */
import type { Locator } from '../contracts/index.ts';
import type { ApplyContext } from './apply-context.ts';
import { KeyState } from './key-state.ts';
import { tombstoneKey } from './keys.ts';
import type { TombstoneRecord, VersionLocal } from './records.ts';
import type { VersionRef } from './version-ref.ts';

type BytesContext = Pick<ApplyContext, 'txn' | 'effects'>;

/** A small body lies at `to` now; what is not used of the two is given back. False: the version has it at `from` no more. */
export function relocateBody(context: BytesContext, version: VersionRef, from: Locator, to: Locator): boolean {
  const state = new KeyState({ ...context, newest: false }, version.bucket, version.key);
  const isLive = state.relocate(version.stamp, from, to);
  if (isLive) state.save();
  const isMoved =
    isLive || changeKept(context, version, (local) => (local.locator === from ? { ...local, locator: to } : undefined));
  context.effects.freed.push(isMoved ? from : to);
  return isMoved;
}

/** All bytes of a removed version are here. */
export function completeKept(context: Pick<BytesContext, 'txn'>, version: VersionRef): void {
  changeKept(context, version, ({ pending, eager: _, ...local }) => (pending ? local : undefined));
}

function changeKept(
  { txn }: Pick<BytesContext, 'txn'>,
  { bucket, key, stamp }: VersionRef,
  change: (local: VersionLocal) => VersionLocal | undefined,
): boolean {
  const row = tombstoneKey(bucket, key, stamp);
  const tombstone = txn.record<TombstoneRecord>(row);
  const changed = tombstone?.kept?.local && change(tombstone.kept.local);
  if (!changed || !tombstone.kept) return false;
  const { local: _, ...bare } = tombstone.kept;
  const kept = Object.keys(changed).length > 0 ? { ...bare, local: changed } : bare;
  txn.put(row, { ...tombstone, kept } satisfies TombstoneRecord);
  return true;
}
