/** Rows of principals, policies and members, and their part of the digest. */
import { registerDigest, registerLeaf, toggleLeaf } from './digest.ts';
import { registerKey } from './keys.ts';
import type { Register } from './records.ts';
import type { Txn } from './txn.ts';

export function registerIn(txn: Txn, of: string, id: string): Register | undefined {
  return txn.record<Register>(registerKey(of, id));
}

/** `undefined` forgets it. */
export function saveRegister(txn: Txn, of: string, id: string, register: Register | undefined): void {
  for (const one of [registerIn(txn, of, id), register]) {
    const digest = one && registerDigest(of, id, one);
    if (digest) toggleLeaf(txn, registerLeaf(of, id), digest);
  }
  if (register) txn.put(registerKey(of, id), register);
  else txn.remove(registerKey(of, id));
}
