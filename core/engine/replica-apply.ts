/** Applying ops of other origins: bodies that came along are stored first, then a whole batch in one transaction. */
import {
  SkerryError,
  type Locator,
  type MetaReads,
  type Op,
  type Origin,
  type VersionPut,
} from '../contracts/index.ts';
import type { ApplyLocal } from './apply-context.ts';
import type { CommitContext } from './committer.ts';
import { chunkKey, fetchKey } from './keys.ts';
import { evicted, isRemoved, memberKey } from './members.ts';
import { readsOfOp } from './op-reads.ts';
import { pendingLocal, type Visibility } from './records.ts';
import type { ApplyReport, BatchApplier, WireOp, ReplicaDeps } from './replica-types.ts';

interface Stored {
  readonly op: Op;
  readonly locator?: Locator;
}

export function applyBatches(deps: ReplicaDeps): BatchApplier {
  return {
    async apply(batch, via) {
      const stored = await storeBodies(deps, batch);
      const locators = stored.flatMap(({ locator }) => (locator === undefined ? [] : [locator]));
      try {
        return await deps.committer.commit<ApplyReport>({
          reads: readsOfAll(stored, via),
          appended: locators,
          decide(context) {
            if (via !== undefined && isRemoved(context.txn, via)) throw evicted(via, context.vector());
            return { outcomes: stored.map((one) => applyOne(context, one, deps.visibility)), vector: context.vector() };
          },
        });
      } catch (error) {
        await deps.chunkStore.free(locators);
        throw error;
      }
    },
  };
}

function isPut(op: Op): op is Op<VersionPut> {
  return op.body.type === 'version.put';
}

async function storeBodies({ chunkStore, hashing }: ReplicaDeps, batch: readonly WireOp[]): Promise<readonly Stored[]> {
  const withBody = batch.flatMap(
    ({ op, body }): readonly { readonly op: Op<VersionPut>; readonly body: Uint8Array }[] =>
      body && isPut(op) ? [{ op, body }] : [],
  );
  const records = withBody.map(({ op, body }) => {
    const hash = op.body.content?.manifest[0]?.hash;
    if (hash === undefined || hash !== `sha256:${Buffer.from(hashing.hash('sha256', body)).toString('hex')}`) {
      throw new SkerryError('ChecksumMismatch', 'a body that came with its op is not what the op says', {
        details: { stamp: op.stamp },
      });
    }
    return { kind: 'data' as const, hash, data: [body] };
  });
  const locators = records.length > 0 ? await chunkStore.append(records) : [];
  const byOp = new Map<Op, Locator>(withBody.map(({ op }, i) => [op, locators[i] as Locator]));
  return batch.map(({ op }) => {
    const locator = byOp.get(op);
    return { op, ...(locator === undefined ? {} : { locator }) };
  });
}

function readsOfAll(stored: readonly Stored[], via: Origin | undefined): MetaReads {
  const reads = stored.map(({ op }) => readsOfOp(op));
  return {
    keys: [...(via === undefined ? [] : [memberKey(via)]), ...reads.flatMap(({ keys }) => keys)],
    ranges: reads.flatMap(({ ranges }) => ranges),
  };
}

function applyOne(
  context: CommitContext,
  { op, locator }: Stored,
  visibility: Visibility | undefined,
): ApplyReport['outcomes'][number] {
  const local = localOf(context, op, locator, visibility);
  const outcome = context.apply(op, local);
  if (outcome === 'applied' && local.version?.pending && isPut(op)) {
    const { bucket, key } = op.body;
    context.txn.put(fetchKey(op.stamp), { bucket, key });
  }
  // stored for nothing
  if (outcome !== 'applied' && locator !== undefined) context.effects.freed.push(locator);
  return outcome;
}

/** Where the bytes of an arriving version are: with it, here already by content, or still to be fetched. */
function localOf(
  { txn }: CommitContext,
  op: Op,
  locator: Locator | undefined,
  visibility: Visibility | undefined,
): ApplyLocal {
  if (!isPut(op) || !op.body.content) return {};
  if (locator !== undefined) return { version: { locator } };
  const { manifest, partsManifest } = op.body.content;
  const isHere = [...manifest, ...(partsManifest ?? [])].every(
    ({ hash, span }) => span === undefined && txn.get(chunkKey(hash)) !== undefined,
  );
  return isHere ? {} : { version: pendingLocal(visibility) };
}
