/** Planted bugs in how sites talk to each other. */
import { plantedIn, type Mutation } from './mutation.ts';

const inReplication = plantedIn('replication', 'core');

export const replicationMutations: readonly Mutation[] = [
  inReplication(
    'hlcCursor',
    'rule 3: the cursor is the vector, never an HLC',
    'replication/pull.ts',
    'const report = await site.inbox.receive(frame.ops, {',
    'const report = await site.inbox.receive(frame.ops.filter(({ op }) => stampHlc(op.stamp) > view.seenHlc), {',
  ),
  inReplication(
    'cursorIsPeersVector',
    'rule 3: the cursor is what was applied here',
    'replication/pull.ts',
    'const { vector: have } = await site.replica.cut();',
    'const have = joinVectors((await site.replica.cut()).vector, view.vector);',
  ),
  inReplication(
    'relayNotPushed',
    'rule 4: any site serves any origin',
    'replication/push.ts',
    'const body = { protocol: call.protocol, ops: page.ops };',
    'const body = { protocol: call.protocol, ops: page.ops.filter(({ op }) => op.dot.origin === site.self.origin) };',
  ),
  inReplication(
    'pushNeverBegins',
    'who cannot be called is pushed to, and pulls where it can',
    'replication/peer.ts',
    'while (callers.isPulling(this.view.site, options.pushAfterMs)) await',
    'while (callers !== undefined) await',
  ),
  inReplication(
    'pushedChunksDropped',
    'rule 13: bytes reach a site that cannot call',
    'replication/chunk-pool.ts',
    'const wanted = chunks.filter(({ hash, bytes }) => this.#nowhere.get(hash)?.length === bytes.length);',
    'const wanted = chunks.slice(0, 0);',
  ),
  inReplication(
    'gapSkipped',
    'rule 2: in order per origin; a gap is refetched, never skipped',
    'engine/committer.ts',
    'if (op.dot.seq !== seqOf(vector, op.dot.origin) + 1 || !coversVector(vector, op.deps)) return',
    'if (Object.keys(op.deps).some((origin) => origin !== op.dot.origin && seqOf(vector, origin) < seqOf(op.deps, origin))) return',
  ),
  inReplication(
    'causesIgnored',
    'rule 2: an op is applied after all that it had seen',
    'engine/committer.ts',
    ' || !coversVector(vector, op.deps)) return',
    ') return',
  ),
  inReplication(
    'futureLetIn',
    'rule 11: an op from the future is held',
    'engine/committer.ts',
    "return hlcWallMs(stampHlc(op.stamp)) > latestMs ? 'held' : undefined;",
    'return latestMs < 0 ? "held" : undefined;',
  ),
  inReplication(
    'futureClamped',
    'rule 11: an op from the future is held, not clamped',
    'engine/committer.ts',
    'const refusal = whyNot(op, clock, nowMs + deps.maxClockDriftMs);',
    `let refusal = whyNot(op, clock, nowMs + deps.maxClockDriftMs);
      if (refusal === 'held') {
        const hlc = nextHlc(clock.hlc, nowMs);
        op = { ...op, stamp: makeStamp(hlc, op.dot.origin, op.dot.seq) };
        refusal = undefined;
      }`,
  ),
  inReplication(
    'heldForEver',
    'rule 11: time passing lets a held op in',
    'replication/quarantine.ts',
    'return dueMs !== undefined && dueMs > this.#clock.monotonicMs();',
    'return dueMs !== undefined;',
  ),
  inReplication(
    'futureWatermarkTaken',
    'rule 11: no watermark carries time from the future in',
    'replication/watermarks.ts',
    'if (hlcWallMs(hlc) <= latestMs) return true;',
    'if (latestMs > 0) return true;',
  ),
  inReplication(
    'ownClockTrusted',
    'rule 11: a wall clock that jumps forward refuses writes',
    'engine/clock-guard.ts',
    "if (jumpMs > maxClockDriftMs) throw untrusted('wall clock jumped forward', jumpMs, maxClockDriftMs);",
    '',
  ),
  inReplication(
    'tieBreakDropped',
    'rule 5: equal clocks are decided by site id',
    'engine/key-state.ts',
    'if (!head || record.stamp > head.stamp) {',
    "if (!head || record.stamp.split('!')[0]! >= head.stamp.split('!')[0]!) {",
  ),
  inReplication(
    'chunkNotVerified',
    'rule 13: every hash is verified on arrival',
    'engine/replica-chunks.ts',
    'if (hash !== `sha256:${digest}`)',
    'if (digest === hash)',
  ),
  inReplication(
    'bodyNotVerified',
    'rule 13: a body that travels with its op is verified',
    'engine/replica-apply.ts',
    "if (hash === undefined || hash !== `sha256:${Buffer.from(hashing.hash('sha256', body)).toString('hex')}`) {",
    "if (hash === undefined || hashing.hash('sha256', body).length === 0) {",
  ),
  inReplication(
    'fetchForgotten',
    'rule 13: the fetch queue outlives restarts and failures',
    'engine/replica-apply.ts',
    'context.txn.put(fetchKey(op.stamp), { bucket, key });',
    'if (op.dot.seq % 8 !== 0) context.txn.put(fetchKey(op.stamp), { bucket, key });',
  ),
  inReplication(
    'failedFetchDropped',
    'rule 13: what could not be fetched is asked for again',
    'replication/fetcher.ts',
    'if (saved === undefined) return this.#rest(version.stamp);',
    'if (saved === undefined) return;',
  ),
  inReplication(
    'completedHalf',
    'rule 13: only what is wholly here is complete',
    'replication/fetcher.ts',
    'isWhole &&= here.every(Boolean);',
    'isWhole &&= here.some(Boolean) || here.length === 0;',
  ),
  inReplication(
    'onlyAuthorAsked',
    'rule 13: chunks come from any peer that has them',
    'replication/chunk-pool.ts',
    'if (want.prefer !== site && sites.has(want.prefer) && !want.tried.has(want.prefer)) continue;',
    'if (want.prefer !== site) continue;',
  ),
  inReplication(
    'peerSaysWhatANodeIs',
    'rule 14: a manifest node holds its entries',
    'replication/chunk-pool.ts',
    'ready.push({ ...chunk, kind: want.kind });',
    "ready.push({ ...chunk, kind: 'data' });",
  ),
  inReplication(
    'succeededForEver',
    'rule 12: once a copy is gone, the original is heard again',
    'replication/callers.ts',
    'if (sinceMs !== undefined && !isGone) {',
    'if (sinceMs !== undefined) {',
  ),
  inReplication(
    'endlessClash',
    'rule 12: once one of two clones is gone, the other is heard again',
    'replication/callers.ts',
    'const isAlone = [...sessions.values()].every(({ lastMs }) => nowMs - lastMs >= CLASH_MS);',
    'const isAlone = sessions.size === 0;',
  ),
];
