/** Pushing to a peer that does not come for it, because it cannot reach us: ops that it lacks, and the chunks that it asks for. */
import { SkerryError, type Origin, type SiteId } from '../contracts/index.ts';
import type { FetchedChunk, OpsPage } from '../engine/replica.ts';
import { coversDot, joinVectors, seqOf } from '../engine/vector.ts';
import type { PeerCalls } from './calls.ts';
import { pushRequest, putChunksRequest } from './codec.ts';
import type { ChunkRef } from './protocol.ts';
import type { TokenBucket } from './pacing.ts';
import type { PeerView } from './peer-view.ts';
import type { SiteContext } from './site-context.ts';
import { soundChunk } from './sound-chunk.ts';

/** Bytes of one push of chunks, unless a single chunk is longer; a message is at most 16 MiB. */
const PUT_BYTES = 4 * 1024 * 1024;
const MESSAGE_MAX_BYTES = 16 * 1024 * 1024;

export interface PushCall {
  readonly calls: PeerCalls;
  readonly view: PeerView;
  readonly protocol: number;
  readonly bandwidth: TokenBucket;
  readonly signal: AbortSignal;
}

export interface PushOutcome {
  readonly pushed: number;
  /** The peer took none of the ops that it was sent; trying again at once is of no use. */
  readonly isStuck: boolean;
  /** The peer lacks ops that are no longer here: it must take a snapshot. */
  readonly gap?: SkerryError;
  /** The peer is half filled with our snapshot and needs the rest before it takes more. */
  readonly isHalf?: boolean;
}

/** Pushes until the peer has everything that it can take now. */
export async function push(site: SiteContext, call: PushCall): Promise<PushOutcome> {
  const { view } = call;
  let [pushed, isHalf] = [0, false];
  let blocked: readonly Origin[] = [];
  while (!call.signal.aborted) {
    const { vector: own } = await site.replica.cut();
    const skipped = Object.fromEntries(blocked.map((origin) => [origin, seqOf(own, origin)]));
    const { pageMaxOps: maxOps, pageMaxBytes: maxBytes } = site.options;
    const page = await site.replica.opsAfter(joinVectors(view.vector, skipped), { maxOps, maxBytes });
    if (page.kind === 'gap') return { pushed, isStuck: true, gap: lacksTrimmed(view.site, page) };
    if (page.ops.length === 0) return { pushed, isStuck: false, isHalf };
    const body = { protocol: call.protocol, ops: page.ops };
    const bytes = pushRequest.encode(body).length;
    await call.bandwidth.take(bytes, call.signal);
    const answer = await call.calls.push(body, call.signal);
    view.vector = answer.vector;
    view.hlc = answer.hlc;
    view.lastContactMs = site.clock.wallMs();
    view.bytesPushed += bytes;
    if (view.origin !== undefined) await site.leases.used(view.origin, answer.vector);
    ({ blocked, isHalf = false } = answer);
    const taken = page.ops.filter(({ op }) => coversDot(answer.vector, op.dot)).length;
    view.opsPushed += taken;
    pushed += taken;
    if (taken === 0) return { pushed, isStuck: true, isHalf };
  }
  return { pushed, isStuck: false };
}

const lacksTrimmed = (peer: SiteId, { origin, trimmedTo }: Extract<OpsPage, { readonly kind: 'gap' }>): SkerryError =>
  new SkerryError('Unavailable', `${peer} lacks ops that are no longer here: it must take a snapshot`, {
    details: { reason: 'gap', origin, trimmedTo },
  });

/** Asks once which chunks the peer wants, waiting up to `waitMs`, and brings those that are here. How many it took. */
export async function pushChunks(site: SiteContext, call: PushCall, waitMs: number): Promise<PushOutcome> {
  const { calls, protocol, signal } = call;
  const { chunks: wanted } = await calls.wants({ protocol, waitMs }, signal);
  let pushed = 0;
  for await (const chunks of batches(site, wanted)) {
    const bytes = putChunksRequest.encode({ protocol, chunks }).length;
    if (bytes > MESSAGE_MAX_BYTES) {
      site.logger.warn({ peer: call.view.site, bytes }, 'a chunk is too long to be pushed: the peer has to pull it');
      continue;
    }
    await call.bandwidth.take(bytes, signal);
    const { stored } = await calls.putChunks({ protocol, chunks }, signal);
    call.view.bytesPushed += bytes;
    pushed += stored;
  }
  return { pushed, isStuck: wanted.length > 0 && pushed === 0 };
}

async function* batches(site: SiteContext, wanted: readonly ChunkRef[]): AsyncGenerator<readonly FetchedChunk[]> {
  let batch: FetchedChunk[] = [];
  let bytes = 0;
  for (const { hash, holder } of wanted) {
    const chunk = await soundChunk(site, hash, holder);
    if (chunk === undefined) continue;
    if (bytes > 0 && bytes + chunk.bytes.length > PUT_BYTES) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push({ hash, ...chunk });
    bytes += chunk.bytes.length;
  }
  if (batch.length > 0) yield batch;
}
