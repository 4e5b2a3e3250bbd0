/** Serving ops: what a peer lacks, in stamp order, small bodies with them. */
import {
  isSkerryError,
  SkerryError,
  type ChunkHash,
  type MetaKey,
  type Op,
  type Origin,
  type VersionPut,
  type VersionVector,
} from '../contracts/index.ts';
import { decodeClock } from './clock-row.ts';
import { clockKey, oplogKey, oplogPrefix, trimmedKey, tupleRange } from './keys.ts';
import { readBody } from './replica-chunks.ts';
import type { Cut, OpServer, OpsPage, PageLimit, WireOp, ReplicaDeps } from './replica-types.ts';
import { decodeRecord } from './records.ts';
import { EMPTY_VECTOR, seqOf } from './vector.ts';
import type { VersionRef } from './version-ref.ts';

const SHIP_INLINE_MAX_BYTES = 8 * 1024;

export function serveOps(deps: ReplicaDeps): OpServer {
  return {
    cut: () => readCut(deps),
    async opsAfter(have, limit) {
      const endRead = deps.reclaimer.beginRead();
      try {
        return await opsAfter(deps, have, limit);
      } finally {
        endRead();
      }
    },
  };
}

async function readCut({ reader }: ReplicaDeps): Promise<Cut> {
  const keys: MetaKey[] = [clockKey, trimmedKey];
  const [clockRow, trimmedRow] = await reader.get(keys);
  return { ...decodeClock(clockRow), trimmed: trimmedRow ? decodeRecord<VersionVector>(trimmedRow) : EMPTY_VECTOR };
}

async function opsAfter(deps: ReplicaDeps, have: VersionVector, limit: PageLimit): Promise<OpsPage> {
  const { vector, trimmed } = await readCut(deps);
  const lacking = Object.keys(vector).filter((origin) => seqOf(have, origin) < seqOf(vector, origin));
  const gap = gapOf(lacking, have, trimmed);
  if (gap) return gap;
  const read = await Promise.all(lacking.map((origin) => readOrigin(deps, origin, seqOf(have, origin), limit.maxOps)));
  // Stamps rise with causality, so the smallest of all origins' next ops never comes after one that it depends on.
  const inOrder = read.flat().toSorted((a, b) => (a.stamp < b.stamp ? -1 : 1));
  const ops = await withBodies(deps, inOrder.slice(0, limit.maxOps), limit.maxBytes);
  // They may have been trimmed while they were read: what is left of them is not to be taken for all.
  const trimmedNow = gapOf(lacking, have, (await readCut(deps)).trimmed);
  if (trimmedNow) return trimmedNow;
  const missing = lacking.reduce((sum, origin) => sum + seqOf(vector, origin) - seqOf(have, origin), 0);
  // An asker would ask for them for ever.
  if (ops.length === 0 && missing > 0)
    throw new SkerryError('Corrupt', 'the oplog lacks ops that this site has applied: rebuild its index', {
      details: { origins: lacking },
    });
  return { kind: 'ops', ops, more: ops.length < missing };
}

function gapOf(lacking: readonly Origin[], have: VersionVector, trimmed: VersionVector): OpsPage | undefined {
  const origin = lacking.find((one) => seqOf(have, one) < seqOf(trimmed, one));
  return origin === undefined ? undefined : { kind: 'gap', origin, trimmedTo: seqOf(trimmed, origin) };
}

async function readOrigin(
  { reader }: ReplicaDeps,
  origin: Origin,
  after: number,
  limit: number,
): Promise<readonly Op[]> {
  const { to } = tupleRange(oplogPrefix(origin));
  const rows = await reader.scan({ space: 'oplog', from: oplogKey(origin, after + 1).key, to, limit });
  return rows.map(({ value }) => decodeRecord<Op>(value));
}

async function withBodies(deps: ReplicaDeps, ops: readonly Op[], maxBytes: number): Promise<readonly WireOp[]> {
  const page: WireOp[] = [];
  let bytes = 0;
  for (const op of ops) {
    const body = await inlineBody(deps, op);
    bytes += JSON.stringify(op).length + (body?.length ?? 0);
    if (bytes > maxBytes && page.length > 0) break;
    page.push(body ? { op, body } : { op });
  }
  return page;
}

/** The body of a small version that is still here, and whole; a version that was superseded needs none. */
function inlineBody(deps: ReplicaDeps, { body, stamp }: Op): Promise<Uint8Array | undefined> | undefined {
  if (body.type !== 'version.put') return undefined;
  const { bucket, key, content } = body satisfies VersionPut;
  const [entry, ...more] = content?.manifest ?? [];
  const isSmall =
    entry &&
    more.length === 0 &&
    entry.span === undefined &&
    entry.length <= (deps.shipInlineMaxBytes ?? SHIP_INLINE_MAX_BYTES);
  return isSmall ? soundBody(deps, entry.hash, { bucket, key, stamp }) : undefined;
}

/** Ops do not wait for a body that is damaged here: the peer looks for it elsewhere. */
async function soundBody(deps: ReplicaDeps, hash: ChunkHash, version: VersionRef): Promise<Uint8Array | undefined> {
  try {
    return await readBody(deps, hash, version);
  } catch (error) {
    if (isSkerryError(error, 'Corrupt')) return undefined;
    throw error;
  }
}
