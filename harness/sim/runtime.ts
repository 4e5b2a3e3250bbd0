/** The outside world of one boot of a simulated site: every port answers from virtual time and the seed. */
import type {
  FileSystem,
  HashAlgorithm,
  Hashing,
  HashSession,
  Logger,
  Random,
  Runtime,
} from '../../core/contracts/index.ts';
import { createDigest, hashNow } from '../../core/kernel/runtime/digests.ts';
import type { SimClock } from './clock.ts';
import { laneTimers, type Lane } from './lane.ts';
import type { Draw } from './random.ts';

export interface LogLine {
  readonly atMs: number;
  readonly site: string;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: object;
}

export interface RuntimeParts {
  readonly lane: Lane;
  readonly clock: SimClock;
  readonly draw: Draw;
  readonly files: FileSystem;
  readonly log: (line: LogLine) => void;
}

export function simRuntime({ lane, clock, draw, files, log }: RuntimeParts): Runtime {
  return {
    clock,
    timers: laneTimers(lane, clock.rate),
    random: drawnRandom(draw),
    files,
    hashing,
    logger: capturing(lane, log),
  };
}

function drawnRandom(draw: Draw): Random {
  return {
    bytes: (length) => draw.bytes(length),
    unit: () => draw.unit(),
    hex: (bytes) => Buffer.from(draw.bytes(bytes)).toString('hex'),
  };
}

/** On the calling thread alone: what comes back from another thread comes in an order that no seed decides. */
const hashing: Hashing = {
  hash: hashNow,
  hashAsync: async (algorithm, bytes) => hashNow(algorithm, bytes),
  session: (algorithms) => new InlineSession(algorithms),
};

class InlineSession implements HashSession {
  readonly #digests: ReadonlyMap<HashAlgorithm, ReturnType<typeof createDigest>>;

  constructor(algorithms: readonly HashAlgorithm[]) {
    this.#digests = new Map(algorithms.map((algorithm) => [algorithm, createDigest(algorithm)]));
  }

  update(bytes: Uint8Array): void {
    for (const digest of this.#digests.values()) digest.update(bytes);
  }

  async digest(): Promise<Readonly<Partial<Record<HashAlgorithm, Uint8Array>>>> {
    return Object.fromEntries([...this.#digests].map(([algorithm, digest]) => [algorithm, digest.finish()]));
  }

  abandon(): void {}
}

function capturing(lane: Lane, log: (line: LogLine) => void): Logger {
  const write = (level: LogLine['level'], bound: object) => (fields: object, message: string) => {
    if (lane.alive) log({ atMs: lane.nowMs, site: lane.name, level, message, fields: { ...bound, ...fields } });
  };
  const make = (bound: object): Logger => ({
    debug: write('debug', bound),
    info: write('info', bound),
    warn: write('warn', bound),
    error: write('error', bound),
    child: (fields) => make({ ...bound, ...fields }),
  });
  return make({});
}
