/** What the files of the transport kit share: three sites that reach each other, frames to compare, waits that end. */
import assert from 'node:assert/strict';

import type {
  IncomingCall,
  PeerAddress,
  PeerIdentity,
  PeerLink,
  ServeCall,
  Transport,
  TransportSupports,
} from '../../../core/contracts/index.ts';
import type { TestFunction } from '../runner.ts';

/** Three fresh transports that can reach each other and listen where there is room. Constructed, not opened. */
export interface TransportNetwork {
  readonly transports: readonly [Transport, Transport, Transport];
  /** Runs after all were closed, also when the test failed. */
  readonly cleanup?: () => Promise<void>;
}

export interface TransportKitOptions {
  readonly test: TestFunction;
  readonly create: () => Promise<TransportNetwork>;
  /** The plugin's own declaration. */
  readonly supports: TransportSupports;
  /** Seed of every property. Default 1. */
  readonly seed?: number;
  /** Random cases of each property. Default 20. */
  readonly runs?: number;
  /** A wait that has not ended after so long has failed. Default 20 s. */
  readonly patienceMs?: number;
}

/** A site that is open and listens. */
export interface Site {
  readonly transport: Transport;
  readonly identity: PeerIdentity;
  readonly address: PeerAddress;
}

export interface World {
  readonly a: Site;
  readonly b: Site;
  readonly c: Site;
  /** From `a` to `b`. */
  readonly link: PeerLink;
}

export interface TransportKit extends Required<TransportKitOptions> {
  /** A test in which `b` answers with `serve`; `a` and `c` answer with nothing. */
  readonly withSites: (title: string, serve: ServeCall, body: (world: World) => Promise<void>) => void;
  /** Runs `body` in a fresh world, for a test that needs several. */
  readonly inWorld: (serve: ServeCall, body: (world: World) => Promise<void>) => Promise<void>;
  /** A test with transports that were not opened. */
  readonly withShut: (title: string, body: (transports: TransportNetwork['transports']) => Promise<void>) => void;
  /** What `promise` settles with; fails when it does not. */
  readonly soon: <T>(promise: Promise<T>, what: string) => Promise<T>;
}

export const NONE = new Uint8Array(0);
export const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
export const identity = (site: string): PeerIdentity => ({ site, origin: `${site}.0123456789abcdef` });

export async function* nothing(): AsyncGenerator<Uint8Array> {}

export function toKit(options: TransportKitOptions): TransportKit {
  const { test, create, patienceMs = 20_000 } = options;
  const soon = <T>(promise: Promise<T>, what: string): Promise<T> => within(promise, patienceMs, what);
  const inWorld = async (serve: ServeCall, body: (world: World) => Promise<void>): Promise<void> => {
    const network = await create();
    try {
      const [a, b, c] = network.transports;
      const world = { a: await join(a, 'a', nothing), b: await join(b, 'b', serve), c: await join(c, 'c', nothing) };
      await soon(body({ ...world, link: a.dial(world.b.address) }), 'the test');
    } finally {
      await soon(tearDown(network), 'close');
    }
  };
  const withShut: TransportKit['withShut'] = (title, body) =>
    test(title, async () => {
      const network = await create();
      try {
        await soon(body(network.transports), 'the test');
      } finally {
        await soon(tearDown(network), 'close');
      }
    });
  return {
    seed: 1,
    runs: 20,
    patienceMs,
    ...options,
    soon,
    inWorld,
    withShut,
    withSites: (title, serve, body) => test(title, () => inWorld(serve, body)),
  };
}

async function join(transport: Transport, site: string, serve: ServeCall): Promise<Site> {
  await transport.open();
  const [url] = await transport.listen(identity(site), serve);
  assert.ok(url !== undefined, 'a transport of the kit listens, and says where');
  return { transport, identity: identity(site), address: { site, url } };
}

async function tearDown({ transports, cleanup }: TransportNetwork): Promise<void> {
  await Promise.all(transports.map((transport) => transport.close()));
  await cleanup?.();
}

async function within<T>(promise: Promise<T>, patienceMs: number, what: string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what} has not ended within ${patienceMs} ms`)), patienceMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export async function collect(frames: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const frame of frames) all.push(frame);
  return all;
}

export const reader = (frames: AsyncIterable<Uint8Array>): AsyncIterator<Uint8Array> => frames[Symbol.asyncIterator]();

/** Every frame is a Uint8Array with these bytes; compares without printing megabytes. */
export function sameFrames(actual: readonly Uint8Array[], expected: readonly Uint8Array[]): void {
  const lengths = (frames: readonly Uint8Array[]): readonly number[] => frames.map(({ length }) => length);
  assert.deepEqual(lengths(actual), lengths(expected), 'lengths of the frames differ');
  for (const [index, frame] of actual.entries())
    assert.ok(Buffer.compare(frame, expected[index] ?? NONE) === 0, `frame ${index} has other bytes`);
}

/** Says one frame, then nothing until its signal aborts. Tells what has happened to it. */
export function silent() {
  const aborted = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  async function* serve({ signal }: IncomingCall): AsyncGenerator<Uint8Array> {
    try {
      yield bytes(1);
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve());
      });
      aborted.resolve();
    } finally {
      ended.resolve();
    }
  }
  return { serve, aborted: aborted.promise, ended: ended.promise };
}

/** More than any window; a bound, so that a transport that runs away fails instead of filling the memory. */
const ENDLESS_FRAMES = 20_000;

/** Yields frames without end, as far as a reader can tell, and never looks at its signal. */
export function endless() {
  const seen = { yielded: 0, ended: Promise.withResolvers<void>() };
  async function* serve(): AsyncGenerator<Uint8Array> {
    try {
      while (seen.yielded < ENDLESS_FRAMES) {
        seen.yielded++;
        yield bytes(seen.yielded % 256);
      }
    } finally {
      seen.ended.resolve();
    }
  }
  return { serve, seen, ended: seen.ended.promise };
}
