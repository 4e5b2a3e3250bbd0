/** Planted bugs that one site alone must suffer from. */
import { plantedIn, type Mutation } from './mutation.ts';

const inEngine = plantedIn('engine', 'core/engine');

export const engineMutations: readonly Mutation[] = [
  inEngine(
    'syncSkipped',
    'rule 1: what is acknowledged is durable',
    'committer.ts',
    'if (group.some(({ intent }) => intent.appended.length > 0)) {',
    'if (group.length === 0) {',
  ),
  inEngine(
    'failedSyncIgnored',
    'rule 1: a failed sync fails the writes that relied on it',
    'committer.ts',
    'intent.appended.some((locator) => chunkStore.isLost(locator));',
    'intent.appended.length < 0;',
  ),
  inEngine(
    'acknowledgedBeforeCommit',
    'rule 1: nothing is acknowledged before it is durable',
    'committer.ts',
    '(txn) => decideGroup(deps, ready, txn),',
    `(txn) => {
      const early = decideGroup(deps, ready, txn);
      early.outcomes.forEach((outcome, i) => outcome.ok && (ready[i] as Queued).resolve(outcome.value));
      return early;
    },`,
  ),
  inEngine(
    'clockNotPersisted',
    'rule 1: the HLC moves forward over restarts',
    'committer.ts',
    'txn.put(clockKey, clock);',
    'txn.put(clockKey, { ...clock, hlc: HLC_ZERO });',
  ),
  inEngine(
    'clockFollowsWall',
    'rule 11: a clock that jumps back only makes the counter work',
    'hlc.ts',
    'if (wall > lastWall) return',
    'if (wall !== lastWall) return',
  ),
  inEngine(
    'opNotLogged',
    'rule 1: no replicated state changes without an op',
    'committer.ts',
    'txn.put(oplogKey(dot.origin, dot.seq), op);',
    "if (body.type !== 'version.setting') txn.put(oplogKey(dot.origin, dot.seq), op);",
  ),
  inEngine(
    'depsNotRecorded',
    'rule 6: causality is known',
    'committer.ts',
    'deps: clock.vector, body };',
    'deps: EMPTY_VECTOR, body };',
  ),
  inEngine(
    'seqSkipsOnDelete',
    'rule 1: seq is dense',
    'committer.ts',
    'const dot = { origin: deps.origin, seq: seqOf(clock.vector, deps.origin) + 1 };',
    "const dot = { origin: deps.origin, seq: seqOf(clock.vector, deps.origin) + (body.type === 'version.remove' ? 2 : 1) };",
  ),
  inEngine(
    'countersDrift',
    'counters equal a recount',
    'heads.ts',
    'const bytes = size(next) - size(before);',
    'const bytes = size(next);',
  ),
  inEngine(
    'garbageIgnoresHolders',
    'rule 14: nothing that is referenced is reclaimed',
    'garbage.ts',
    'if (txn.scan(refRange(hash)).length > 0) return false;',
    '',
  ),
  inEngine(
    'garbageIgnoresPins',
    'rule 14: nothing that a running write relies on is reclaimed',
    'garbage.ts',
    'if (deps.pins.has(hash)) return false;',
    '',
  ),
  inEngine(
    'lateReadersIgnored',
    'a version that was opened stays readable',
    'garbage.ts',
    'if (!now || Buffer.compare(now, queued) !== 0) return false;',
    '',
  ),
  inEngine(
    'droppedVersionLeaks',
    'space is given back',
    'chunk-refs.ts',
    'if (record.local?.locator !== undefined) context.effects.freed.push(record.local.locator);',
    '',
  ),
  inEngine(
    'releaseNotQueued',
    'space is given back',
    'chunk-refs.ts',
    'txn.set(garbageKey(hash), Buffer.from(owner));',
    '',
  ),
  inEngine(
    'sharedChunkFreedWithVersion',
    'rule 14: nothing that is referenced is reclaimed',
    'chunk-refs.ts',
    'releaseEntries(context, entriesOf(record), refOwner.version(record.stamp));',
    `for (const { hash } of entriesOf(record)) {
    const row = context.txn.record<ChunkRow>(chunkKey(hash));
    if (row) context.effects.freed.push(row.locator);
  }
  releaseEntries(context, entriesOf(record), refOwner.version(record.stamp));`,
  ),
  inEngine(
    'nodeHoldsNothing',
    'rule 14: a manifest node holds its entries',
    'chunk-refs.ts',
    'holdEntries(context, children, refOwner.node(hash));',
    '',
  ),
  inEngine(
    'readersIgnored',
    'a version that was opened stays readable',
    'reclaim.ts',
    'while (epochs.length > 1 && epochs[0]?.readers === 0) {',
    'while (epochs.length > 1) {',
  ),
  inEngine(
    'failedWriteLeaks',
    'space of refused writes is given back',
    'chunk-placer.ts',
    'if (locators.length > 0) await this.#deps.chunkStore.free(locators);',
    '',
  ),
  inEngine(
    'conditionIgnored',
    'rule 19: conditions are decided in the commit',
    'conditions.ts',
    'if (!condition) return;',
    'return;',
  ),
  inEngine(
    'suspendedKeepsVersions',
    'rule 2: null versions are one register',
    'objects.ts',
    "const nullVersion = versioning !== 'Enabled';",
    "const nullVersion = versioning === 'Off';",
  ),
  inEngine(
    'olderPromotedAndKept',
    'rule 5: the largest stamp is current, once',
    'key-state.ts',
    "txn.remove({ space: 'versions', key: row.key });",
    '',
  ),
  inEngine('removedHeadStays', 'nothing deleted comes back', 'heads.ts', 'else txn.remove(row);', ''),
  inEngine(
    'settingOnWrongVersion',
    'rule 7: settings are registers of their version',
    'apply-version.ts',
    'const version = state.version(target);\n  const set',
    'const version = state.head;\n  const set',
  ),
  inEngine(
    'generationIgnored',
    'a completion has the parts that were listed',
    'complete-upload.ts',
    'if (uploadIn(context.txn, input).generation !== read.generation) {',
    'if (uploadIn(context.txn, input).generation < 0) {',
  ),
  inEngine(
    'replacedPartLeaks',
    'space of replaced parts is given back',
    'put-part.ts',
    'if (old !== undefined) releaseEntries(context, old.manifest, owner);',
    '',
  ),
  inEngine(
    'opLogForgotten',
    'rule 17: rebuild has every op',
    'op-log.ts',
    'if (!this.#isBehind) await this.#write(fresh, next);',
    'if (!this.#isBehind && fresh.length < 2) await this.#write(fresh, next);',
  ),
  inEngine(
    'opLogTrustsFailedSync',
    'rule 17: the log next to the data has no gaps',
    'op-log.ts',
    'const lost = records.filter((locator) => chunkStore.isLost(locator));',
    'const lost = records.filter((locator) => locator === undefined);',
  ),
  inEngine(
    'copySharesUnpinned',
    'rule 14: nothing that a running write relies on is reclaimed',
    'objects.ts',
    'for (const hash of hashes) pins.pin(hash);\n  let pinned = true;',
    'let pinned = false;',
  ),
];
