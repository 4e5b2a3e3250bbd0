/** Client operations from a seed: few keys, few contents, so that sites collide; what is done and how often differs by seed. */
import { Draw } from '../sim/random.ts';
import { EPOCH_MS } from '../sim/clock.ts';
import type { Body, ClientOp, ClientStep, Lock } from './steps.ts';

export interface WorkloadOptions {
  readonly seed: number;
  readonly sites: readonly string[];
  readonly steps: number;
  /** Steps fall into this time. */
  readonly forMs: number;
  /** Buckets come and go. Off where merging that is not there yet. */
  readonly removesBuckets: boolean;
  /** Sites hear of each other's writes. */
  readonly replicates: boolean;
}

const SIZES = [0, 1, 30, 48, 49, 127, 128, 129, 300, 1000, 2500, 6000] as const;
const SETTINGS = ['cors', 'policy', 'tagging'] as const;
/** Made with Object Lock, and versioned for good. */
const LOCKED = 'locked';
/** A body takes this long at most. */
const STREAM_MAX_MS = 20_000;
const KEY_IDS = ['key-a', 'key-b'] as const;

const WEIGHTS: Readonly<Record<ClientOp['type'], number>> = {
  put: 30,
  get: 16,
  delete: 10,
  deleteVersion: 8,
  tags: 6,
  lock: 6,
  deleteMany: 3,
  key: 3,
  causal: 4,
  copy: 8,
  multipart: 8,
  setting: 6,
  createBucket: 3,
  deleteBucket: 2,
  list: 3,
  collectGarbage: 3,
};

/** A generator of one plan's operations: what differs between seeds is drawn once. */
class Mix {
  readonly #draw: Draw;
  readonly #sites: readonly string[];
  readonly #buckets: readonly string[];
  readonly #keys: readonly string[];
  readonly #contents: number;
  readonly #weights: Partial<Record<ClientOp['type'], number>>;
  readonly #sizes: readonly number[];

  constructor(draw: Draw, { removesBuckets, replicates, sites }: WorkloadOptions) {
    this.#draw = draw;
    this.#sites = sites;
    this.#buckets = ['alpha', ...(draw.chance(0.4) ? ['beta'] : []), ...(draw.chance(0.35) ? [LOCKED] : [])];
    this.#keys = ['k', 'k/2', 'z', 'k/\u00e9', 'a'].slice(0, 1 + draw.below(5));
    this.#contents = 1 + draw.below(6);
    this.#sizes = draw.chance(0.3) ? SIZES.filter((size) => size <= 300) : SIZES;
    // swarm: every seed leaves some kinds out altogether and does others often
    this.#weights = Object.fromEntries(
      Object.entries(WEIGHTS).map(([type, weight]) => [type, draw.chance(0.2) ? 0 : weight * draw.between(0.3, 2)]),
    );
    this.#weights.put = 30;
    // collection at the worst moment takes a collector that is always at it
    if (draw.chance(0.2)) this.#weights.collectGarbage = 60;
    if (!removesBuckets) this.#weights.deleteBucket = 0;
    if (!replicates) this.#weights.causal = 0;
    if (!this.#buckets.includes(LOCKED)) this.#weights.lock = 0;
  }

  get buckets(): readonly string[] {
    return this.#buckets;
  }

  next(): ClientOp {
    const draw = this.#draw;
    const bucket = draw.pick(this.#buckets);
    const on = { bucket, key: this.#key() };
    const type = draw.weighted(this.#weights);
    switch (type) {
      case 'createBucket':
        return createBucket(bucket);
      case 'deleteBucket':
      case 'list':
        return { type, bucket };
      case 'lock':
        return { type, bucket: LOCKED, key: on.key, pick: draw.unit(), lock: this.#lock() };
      case 'deleteMany':
        return { type, bucket, keys: [this.#key(), this.#key(), on.key] };
      case 'key':
        return { type, id: draw.pick(KEY_IDS), change: draw.pick(['create', 'create', 'disable', 'policy', 'remove']) };
      case 'causal':
        return { type, ...on, body: this.#body(), toSite: draw.pick(this.#sites) };
      case 'collectGarbage':
        return { type };
      case 'setting':
        return this.#setting(bucket);
      case 'put':
        return this.#put(on);
      case 'get':
        return { type, ...on, ...(draw.chance(0.4) ? { pauseMs: draw.between(1, 1500) } : {}) };
      case 'delete':
        return { type, ...on };
      case 'deleteVersion':
        return { type, ...on, pick: draw.unit() };
      case 'tags':
        return this.#tags(on);
      case 'copy':
        return { type, ...on, toBucket: draw.pick(this.#buckets), toKey: this.#key() };
      case 'multipart':
        return this.#multipart(on);
    }
  }

  #key(): string {
    // the first key is hot
    return this.#draw.chance(0.4) ? (this.#keys[0] as string) : this.#draw.pick(this.#keys);
  }

  #body(): Body {
    return { content: this.#draw.below(this.#contents), size: this.#draw.pick(this.#sizes) };
  }

  #tags(on: { readonly bucket: string; readonly key: string }): ClientOp {
    const draw = this.#draw;
    const name = draw.pick(['tags', 'tags', 'acl'] as const);
    return {
      type: 'tags',
      ...on,
      name,
      value: `t${draw.below(9)}`,
      ...(draw.chance(0.5) ? { pick: draw.unit() } : {}),
    };
  }

  #lock(): Lock {
    const draw = this.#draw;
    if (draw.chance(0.4)) return { name: 'legalHold', value: draw.chance(0.6) ? 'ON' : 'OFF' };
    const untilMs = EPOCH_MS + Math.floor(draw.between(0, 40_000));
    return { name: 'retention', mode: draw.chance(0.6) ? 'COMPLIANCE' : 'GOVERNANCE', untilMs };
  }

  #setting(bucket: string): ClientOp {
    const draw = this.#draw;
    if (bucket !== LOCKED && draw.chance(0.6)) {
      const value = draw.chance(0.6) ? 'Enabled' : 'Suspended';
      return { type: 'setting', bucket, name: 'versioning', value };
    }
    return { type: 'setting', bucket, name: draw.pick(SETTINGS), value: `v${draw.below(9)}` };
  }

  #put(on: { readonly bucket: string; readonly key: string }): ClientOp {
    const draw = this.#draw;
    const pieceBytes = 1 + draw.below(400);
    const pauseMs = draw.between(0, draw.chance(0.3) ? 150 : 20);
    const body = this.#body();
    const stream = {
      pieceBytes,
      // slow, and yet done before everybody is to be at rest
      pauseMs: Math.min(pauseMs, (STREAM_MAX_MS * pieceBytes) / Math.max(1, body.size)),
      breaksOff: draw.chance(0.2),
    };
    return {
      type: 'put',
      ...on,
      body,
      ...(draw.chance(0.15) ? { condition: draw.chance(0.5) ? 'absent' : 'current' } : {}),
      ...(draw.chance(0.2) ? { tag: `t${draw.below(9)}` } : {}),
      ...(draw.chance(0.25) ? { stream } : {}),
    };
  }

  /** Half the time what was sent before, so that the completion may go through. */
  #resend(parts: readonly Body[]): { readonly part: number; readonly body: Body } {
    const part = this.#draw.below(parts.length);
    return { part, body: this.#draw.chance(0.5) ? (parts[part] as Body) : { content: 7, size: 200 } };
  }

  #multipart(on: { readonly bucket: string; readonly key: string }): ClientOp {
    const draw = this.#draw;
    const parts = Array.from({ length: 1 + draw.below(4) }, () => this.#body()).map((body) => ({
      ...body,
      size: Math.max(1, body.size),
    }));
    const ending = draw.weighted({ complete: 6, completeTwice: 1, abort: 2, leave: 1 });
    return {
      type: 'multipart',
      ...on,
      parts,
      ending,
      ...(draw.chance(0.4) ? { resend: this.#resend(parts) } : {}),
      pauseMs: draw.between(0, 50),
    };
  }
}

const createBucket = (bucket: string): Extract<ClientOp, { readonly type: 'createBucket' }> => ({
  type: 'createBucket',
  bucket,
  ...(bucket === LOCKED ? { objectLock: true } : {}),
});

export function generateSteps(options: WorkloadOptions): readonly ClientStep[] {
  const { seed, sites, steps, forMs } = options;
  const draw = new Draw(seed, 'workload');
  const mix = new Mix(draw, options);
  const [first, second] = sites;
  if (first === undefined) throw new RangeError('a workload needs a site');
  // some buckets are made at two sites at once
  const makers = second !== undefined && draw.chance(0.4) ? [first, second] : [first];
  const made: ClientStep[] = mix.buckets.flatMap((bucket, i) =>
    makers.map((site) => ({ id: `b${i}${site}`, atMs: 100 + i, site, op: createBucket(bucket) })),
  );
  // some seeds come in bursts, so that requests overlap; others one by one
  const burstiness = draw.unit();
  const twins = sites.length > 1 && draw.chance(0.3) ? draw.between(0, 0.5) : 0;
  const duels = new Draw(seed, 'duels');
  let atMs = 200;
  for (let i = 0; i < steps; i++) {
    atMs += draw.chance(burstiness) ? draw.between(0, 3) : draw.between(0, (2 * forMs) / (steps * (1.05 - burstiness)));
    const step: ClientStep = { id: `s${i}`, atMs: Math.min(atMs, forMs), site: draw.pick(sites), op: mix.next() };
    made.push(step);
    // the same, at the same moment, elsewhere: what clocks cannot tell apart
    if (draw.chance(twins)) made.push({ ...step, id: `t${i}`, site: draw.pick(sites) });
    const { op } = step;
    // a removal of what is being locked, elsewhere: neither sees the other
    if (op.type === 'lock' && sites.length > 1 && duels.chance(0.5)) {
      const { bucket, key, pick } = op;
      made.push({ ...step, id: `r${i}`, site: duels.pick(sites), op: { type: 'deleteVersion', bucket, key, pick } });
    }
  }
  return made;
}
