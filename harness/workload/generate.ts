/** Client operations from a seed: few keys, few contents, so that sites collide; what is done and how often differs by seed. */
import { Draw } from '../sim/random.ts';
import type { Body, ClientOp, ClientStep } from './steps.ts';

export interface WorkloadOptions {
  readonly seed: number;
  readonly sites: readonly string[];
  readonly steps: number;
  /** Steps fall into this time. */
  readonly forMs: number;
  /** Buckets come and go. Off where merging that is not there yet. */
  readonly removesBuckets: boolean;
}

const SIZES = [0, 1, 30, 48, 49, 127, 128, 129, 300, 1000, 2500, 6000] as const;
const SETTINGS = ['cors', 'policy', 'tagging'] as const;

const WEIGHTS: Readonly<Record<ClientOp['type'], number>> = {
  put: 30,
  get: 16,
  delete: 10,
  deleteVersion: 8,
  tags: 6,
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
  readonly #buckets: readonly string[];
  readonly #keys: readonly string[];
  readonly #contents: number;
  readonly #weights: Partial<Record<ClientOp['type'], number>>;
  readonly #sizes: readonly number[];

  constructor(draw: Draw, removesBuckets: boolean) {
    this.#draw = draw;
    this.#buckets = ['alpha', 'beta'].slice(0, draw.chance(0.6) ? 1 : 2);
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
      case 'deleteBucket':
      case 'list':
        return { type, bucket };
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
        return { type, ...on, value: `t${draw.below(9)}`, ...(draw.chance(0.5) ? { pick: draw.unit() } : {}) };
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

  #setting(bucket: string): ClientOp {
    const draw = this.#draw;
    if (draw.chance(0.6)) {
      const value = draw.chance(0.6) ? 'Enabled' : 'Suspended';
      return { type: 'setting', bucket, name: 'versioning', value };
    }
    return { type: 'setting', bucket, name: draw.pick(SETTINGS), value: `v${draw.below(9)}` };
  }

  #put(on: { readonly bucket: string; readonly key: string }): ClientOp {
    const draw = this.#draw;
    const stream = {
      pieceBytes: 1 + draw.below(400),
      pauseMs: draw.between(0, draw.chance(0.3) ? 150 : 20),
      breaksOff: draw.chance(0.2),
    };
    return {
      type: 'put',
      ...on,
      body: this.#body(),
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

export function generateSteps({ seed, sites, steps, forMs, removesBuckets }: WorkloadOptions): readonly ClientStep[] {
  const draw = new Draw(seed, 'workload');
  const mix = new Mix(draw, removesBuckets);
  const [first] = sites;
  if (first === undefined) throw new RangeError('a workload needs a site');
  const made: ClientStep[] = mix.buckets.map((bucket, i) => ({
    id: `b${i}`,
    atMs: 100 + i,
    site: first,
    op: { type: 'createBucket', bucket },
  }));
  // some seeds come in bursts, so that requests overlap; others one by one
  const burstiness = draw.unit();
  let atMs = 200;
  for (let i = 0; i < steps; i++) {
    atMs += draw.chance(burstiness) ? draw.between(0, 3) : draw.between(0, (2 * forMs) / (steps * (1.05 - burstiness)));
    made.push({ id: `s${i}`, atMs: Math.min(atMs, forMs), site: draw.pick(sites), op: mix.next() });
  }
  return made;
}
