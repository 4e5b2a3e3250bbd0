/** Ends a conflict: bytes that have to be written anew are stored first, then all its ops are authored in one transaction. */
import {
  SkerryError,
  type Json,
  type ResolveConflictInput,
  type ResolvedConflict,
  type VersionSettingName,
} from '../contracts/index.ts';
import { bucketIn, noSuchBucket, versioningOf } from './buckets.ts';
import type { CommitContext, Intent } from './committer.ts';
import { planResolution, type PlanInput, type PutStep, type Step } from './conflict-plan.ts';
import { conflictIn, conflictStamps, readConflict, type ConflictState } from './conflicts.ts';
import { bucketKey, versionKey } from './keys.ts';
import { readsOfKey } from './op-reads.ts';
import { copyBytes, type CopiedBytes, type ObjectsDeps } from './objects.ts';
import { decodeRecord, type BucketRecord, type VersionRecord } from './records.ts';
import { versionIdOf } from './stamp.ts';
import { appendedLocators } from './sync-ledger.ts';
import { causalityToken, checkKey } from './versions.ts';

/** A step, and for a put where its bytes are now. */
interface ReadyStep {
  readonly step: Step;
  readonly stored?: CopiedBytes;
}

type Known = Pick<PlanInput, 'state' | 'nullVersion' | 'versioning'>;

export async function resolveConflict(deps: ObjectsDeps, input: ResolveConflictInput): Promise<ResolvedConflict> {
  const endRead = deps.beginRead();
  try {
    const known = await readKnown(deps, input);
    const steps = planResolution({ ...input, ...known });
    for (const key of new Set(steps.map((step) => step.key))) {
      checkKey(key);
      await deps.vetoes({ action: 'object.put', bucket: input.bucket, key, userId: input.owner });
    }
    return await storeAndCommit(deps, input, known, steps);
  } finally {
    endRead();
  }
}

async function readKnown({ reader }: ObjectsDeps, { bucket, key }: ResolveConflictInput): Promise<Known> {
  const [bucketRow] = await reader.get([bucketKey(bucket)]);
  if (!bucketRow) throw noSuchBucket(bucket);
  const state = await readConflict(reader, { bucket, key });
  if (state.losers.length === 0)
    throw new SkerryError('NotFound', 'this key is not in conflict', { details: { bucket, key } });
  return {
    state,
    nullVersion: await readNull({ reader }, { bucket, key }, state),
    versioning: versioningOf(decodeRecord<BucketRecord>(bucketRow)),
  };
}

async function readNull(
  { reader }: Pick<ObjectsDeps, 'reader'>,
  { bucket, key }: Pick<ResolveConflictInput, 'bucket' | 'key'>,
  { head }: ConflictState,
): Promise<VersionRecord | undefined> {
  if (head?.nullVersion) return head;
  if (head?.nullStamp === undefined) return undefined;
  const [row] = await reader.get([versionKey(bucket, key, head.nullStamp)]);
  return row && decodeRecord<VersionRecord>(row);
}

async function storeAndCommit(
  deps: ObjectsDeps,
  input: ResolveConflictInput,
  known: Known,
  steps: readonly Step[],
): Promise<ResolvedConflict> {
  const ready: ReadyStep[] = [];
  try {
    for (const step of steps) ready.push(await storeStep(deps, input, step));
    const result = await deps.committer.commit(resolveIntent(input, known, ready));
    for (const { stored } of ready) stored?.settled();
    return result;
  } catch (error) {
    for (const { stored } of ready) await stored?.release();
    throw error;
  }
}

async function storeStep(deps: ObjectsDeps, { bucket, key }: ResolveConflictInput, step: Step): Promise<ReadyStep> {
  if (step.do !== 'put' || !step.source.content) return { step };
  const record = { ...step.source, content: step.source.content };
  const info = { bucket, key, stamp: record.stamp };
  return { step, stored: await copyBytes(deps, {}, { record, info }) };
}

function resolveIntent(
  input: ResolveConflictInput,
  known: Known,
  ready: readonly ReadyStep[],
): Intent<ResolvedConflict> {
  const { bucket, key } = input;
  return {
    reads: { keys: readsOfKey(bucket, key) },
    appended: ready.flatMap(({ stored }) => (stored ? appendedLocators(stored) : [])),
    decide(context) {
      const { txn } = context;
      const isUnchanged = conflictStamps(conflictIn(txn, input)).join() === conflictStamps(known.state).join();
      const isSame = isUnchanged && versioningOf(bucketIn(txn, bucket)) === known.versioning;
      if (!isSame)
        throw new SkerryError('Conflict', 'the key was written while its conflict was being resolved; look again', {
          details: { bucket, key },
        });
      const written = ready.map((one) => author(context, input, one));
      const ended = known.state.losers.length - conflictIn(txn, input).losers.length;
      return answer(known, written, { ended, causality: causalityToken(context.vector()) });
    },
  };
}

interface Written {
  readonly step: Step;
  readonly versionId: string;
}

function author({ author: write, nowMs }: CommitContext, input: ResolveConflictInput, ready: ReadyStep): Written {
  const { bucket, owner } = input;
  const { step, stored } = ready;
  const { key } = step;
  if (step.do === 'remove-null') {
    const { stamp } = write({ type: 'version.remove', bucket, key, target: null });
    return { step, versionId: versionIdOf(stamp) };
  }
  const isMarker = step.do === 'marker' || step.source.marker === true;
  const nullVersion = step.do === 'put' && step.nullVersion;
  const { stamp } = write(
    {
      type: 'version.put',
      bucket,
      key,
      nullVersion,
      marker: isMarker,
      owner: step.do === 'put' && key === input.key ? step.source.owner : owner,
      modifiedAtMs: (step.do === 'put' ? step.modifiedAtMs : undefined) ?? nowMs,
      ...(step.do === 'put' ? contentOf(step, stored) : {}),
    },
    stored && {
      ...(stored.locator === undefined ? {} : { version: { locator: stored.locator } }),
      placements: stored.placements,
    },
  );
  return { step, versionId: nullVersion ? 'null' : versionIdOf(stamp) };
}

function contentOf({ source }: PutStep, stored: CopiedBytes | undefined) {
  if (!source.content) return {};
  const settings: Partial<Record<VersionSettingName, Json>> = {};
  for (const [name, { value }] of Object.entries(source.settings ?? {}))
    if (value !== null) settings[name as VersionSettingName] = value;
  return {
    content: { ...source.content, ...stored?.content },
    ...(Object.keys(settings).length > 0 ? { settings } : {}),
  };
}

function answer(
  { versioning }: Known,
  written: readonly Written[],
  rest: Pick<ResolvedConflict, 'ended' | 'causality'>,
): ResolvedConflict {
  const last = written.at(-1);
  const isShown = last !== undefined && last.step.do !== 'remove-null' && versioning !== 'Off';
  const kept = written.flatMap(({ step, versionId }) =>
    step.do === 'put' && step.keeps ? [{ key: step.key, versionId }] : [],
  );
  return { ...rest, ...(isShown ? { versionId: last.versionId } : {}), kept };
}
