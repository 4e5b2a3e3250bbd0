/**
 * Broken transports, each with one fault over correct ones. The kit must fail every one of them: a rule that no mutant proves
 * is not a rule.
 */
import { SkerryError } from '../../../core/contracts/index.ts';
import type {
  IncomingCall,
  PeerAddress,
  PeerIdentity,
  PeerLink,
  ServeCall,
  Transport,
} from '../../../core/contracts/index.ts';
import type { TransportNetwork } from '../transport/kit.ts';

type Frames = AsyncIterable<Uint8Array>;
type Call = PeerLink['call'];

/** A transport that passes everything on, except where a fault is planted. */
interface Faults {
  /** In place of the caller's `call`. */
  readonly call?: (inner: Call) => Call;
  /** In place of the server's generator. */
  readonly serve?: (inner: ServeCall) => ServeCall;
  readonly transport?: (inner: Transport) => Partial<Transport>;
}

/** Faults are made once for each network. */
function mutant(plant: () => Faults): (network: TransportNetwork) => TransportNetwork {
  return (network) => {
    const { call = (inner) => inner, serve = (inner) => inner, transport = () => ({}) } = plant();
    const wrap = (inner: Transport): Transport => ({
      open: () => inner.open(),
      close: () => inner.close(),
      listen: (self: PeerIdentity, served: ServeCall) => inner.listen(self, serve(served)),
      dial: (peer: PeerAddress) => {
        const link = inner.dial(peer);
        return { call: call((...args) => link.call(...args)), close: () => link.close() };
      },
      ...transport(inner),
    });
    const [a, b, c] = network.transports;
    return { ...network, transports: [wrap(a), wrap(b), wrap(c)] };
  };
}

/** The answer passed on piece by piece, changed by a generator. */
const changed = (change: (frames: Frames) => Frames) =>
  mutant(() => ({
    call:
      (inner) =>
      (...args) =>
        change(inner(...args)),
  }));

/** What the server yields, changed before it is sent. */
const served = (change: (frames: Frames, call: IncomingCall) => Frames) =>
  mutant(() => ({ serve: (inner) => (call) => change(inner(call), call) }));

type Step = (iterator: AsyncIterator<Uint8Array>) => Promise<IteratorResult<Uint8Array>>;

/** The answer with another `next`; `return` goes through at once, which a generator's would not. */
function stepping(frames: Frames, next: Step): Frames {
  const iterator = frames[Symbol.asyncIterator]();
  const done = { done: true, value: undefined } as const;
  const ended = async (): Promise<IteratorResult<Uint8Array>> => (await iterator.return?.()) ?? done;
  return { [Symbol.asyncIterator]: () => ({ next: () => next(iterator), return: ended }) };
}

/** The caller's errors, changed; `undefined` ends the stream instead. */
const failing = (change: (error: SkerryError) => SkerryError | undefined) =>
  changed((frames) =>
    stepping(frames, async (iterator) => {
      try {
        return await iterator.next();
      } catch (error) {
        const other = change(error as SkerryError);
        if (other !== undefined) throw other;
        return { done: true, value: undefined };
      }
    }),
  );

const rebuilt = ({ code, message, retryable, details }: SkerryError, other: Partial<SkerryError>): SkerryError =>
  new SkerryError(other.code ?? code, other.message ?? message, {
    retryable: other.retryable ?? retryable,
    details: other.details ?? details,
  });

async function* swapped(frames: Frames): AsyncGenerator<Uint8Array> {
  let held: Uint8Array | undefined;
  for await (const frame of frames) {
    if (held !== undefined && frame.length === held.length) {
      yield frame;
      yield held;
      held = undefined;
      continue;
    }
    if (held !== undefined) yield held;
    held = frame;
  }
  if (held !== undefined) yield held;
}

async function* split(frames: Frames): AsyncGenerator<Uint8Array> {
  for await (const frame of frames) {
    if (frame.length > 65_536) yield frame.slice(0, 65_536);
    yield frame.length > 65_536 ? frame.slice(65_536) : frame;
  }
}

async function* withoutEmpty(frames: Frames): AsyncGenerator<Uint8Array> {
  for await (const frame of frames) if (frame.length > 0) yield frame;
}

async function* damaged(frames: Frames): AsyncGenerator<Uint8Array> {
  for await (const frame of frames) {
    if (frame.length > 100_000) frame[frame.length - 1] = ~(frame.at(-1) ?? 0);
    yield frame;
  }
}

async function* twice(frames: Frames): AsyncGenerator<Uint8Array> {
  let isFirst = true;
  for await (const frame of frames) {
    if (isFirst) yield frame;
    isFirst = false;
    yield frame;
  }
}

/** Takes all frames before it hands out the first. */
async function* eager(frames: Frames): AsyncGenerator<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const frame of frames) {
    all.push(frame);
    if (all.length > 1000) break;
  }
  yield* all;
}

/** Without `return`, a generator that waits at a `yield` is never told. */
const withoutReturn = (frames: Frames): Frames => {
  const iterator = frames[Symbol.asyncIterator]();
  return { [Symbol.asyncIterator]: () => ({ next: () => iterator.next() }) };
};

/** One call after another. */
function serialised(): Faults {
  let last: Promise<void> = Promise.resolve();
  return {
    call: (inner) =>
      async function* (...args) {
        const before = last;
        const { promise, resolve } = Promise.withResolvers<void>();
        last = promise;
        await before;
        try {
          yield* inner(...args);
        } finally {
          resolve();
        }
      },
  };
}

const VALID_NAME = /^[a-z][a-z0-9-]*$/;

const bent =
  (inner: Call): Call =>
  (name, ...rest) =>
    inner(VALID_NAME.test(name) ? name : 'bent', ...rest);

/** No fault: what the mutants are made of. */
export const honestTransports = mutant(() => ({}));

/** By what is wrong with it: completes "a transport that ...". */
export const transportMutants = {
  'swaps neighbouring frames': changed(swapped),
  'splits long frames': changed(split),
  'drops empty frames': changed(withoutEmpty),
  'damages long frames': changed(damaged),
  'repeats the first frame': changed(twice),
  'reads ahead without bound': served(eager),
  'runs one call after another': mutant(serialised),
  'ends a broken stream as if it were whole': failing((error) => (error.code === 'Unavailable' ? undefined : error)),
  'calls every failure Unavailable': failing((error) => rebuilt(error, { code: 'Unavailable' })),
  'forgets whether an error is retryable': failing(({ code, message, details }) => {
    return new SkerryError(code, message, { details });
  }),
  'loses the details of errors': failing((error) => rebuilt(error, { details: {} })),
  'loses the text of errors': failing((error) => rebuilt(error, { message: 'it failed' })),
  'answers once more behind an error': changed((frames) => {
    let hasFailed = false;
    return stepping(frames, async (iterator) => {
      if (hasFailed) return { done: false, value: new Uint8Array(1) };
      try {
        return await iterator.next();
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    });
  }),
  'tells what went wrong inside': mutant(() => ({
    serve: (inner) => (call) => {
      try {
        return inner(call);
      } catch (error) {
        throw error instanceof SkerryError ? error : new SkerryError('Internal', String(error));
      }
    },
  })),
  'ignores the signal of the caller': mutant(() => ({ call: (inner) => (name, body) => inner(name, body) })),
  'never aborts the signal of the server': mutant(() => ({
    serve: (inner) => (call) => inner({ ...call, signal: new AbortController().signal }),
  })),
  'aborts the signal of every server': mutant(() => ({
    serve: (inner) => (call) => inner({ ...call, signal: AbortSignal.abort() }),
  })),
  'does not return from generators': served(withoutReturn),
  'says that somebody else calls': mutant(() => ({
    serve: (inner) => (call) => inner({ ...call, from: { site: 'a', origin: 'a.0123456789abcdef' } }),
  })),
  'loses the last byte of bodies': mutant(() => ({
    call:
      (inner) =>
      (name, body, signal): Frames =>
        inner(name, body.length > 1000 ? body.slice(0, -1) : body, signal),
  })),
  'hands the caller its own body back': sharing(),
  'repeats a call that failed': mutant(() => ({
    call: (inner) => repeating(inner),
  })),
  'bends names until they fit': mutant(() => ({ call: bent })),
  'takes bodies of any length': mutant(() => ({
    call:
      (inner) =>
      (name, body, signal): Frames =>
        inner(name, body.subarray(0, 16 * 1024 * 1024), signal),
  })),
  'forgets on which link a call runs': mutant(() => ({
    transport: (inner) => ({
      dial: (peer) => ({ call: (...args) => inner.dial(peer).call(...args), close: async () => undefined }),
    }),
  })),
  'closes every link with one': mutant(() => ({
    transport: (inner) => {
      const links: PeerLink[] = [];
      return {
        dial: (peer) => {
          const link = inner.dial(peer);
          links.push(link);
          return { call: (...args) => link.call(...args), close: async () => void links.map((it) => it.close()) };
        },
      };
    },
  })),
  'calls before it is open': mutant(() => ({
    transport: (inner) => {
      let isOpen = false;
      return {
        open: async () => {
          await inner.open();
          isOpen = true;
        },
        dial: (peer) => (isOpen ? inner.dial(peer) : { call: () => noFrames(), close: async () => undefined }),
      };
    },
  })),
  'opens again after it was closed': mutant(() => ({
    transport: (inner) => ({ open: () => inner.open().catch(() => undefined) }),
  })),
  'listens as often as one likes': mutant(() => ({
    transport: (inner) => ({
      listen: (self, serve) =>
        inner.listen(self, serve).catch((error: SkerryError) => {
          if (error.code === 'InvalidArgument') return [];
          throw error;
        }),
    }),
  })),
  'does not wait for its generators': mutant(() => ({
    transport: (inner) => ({
      close: async () => {
        void inner.close();
      },
    }),
    serve: (inner) => (call) => slowToEnd(inner(call)),
  })),
  'talks to whoever answers': mutant(() => ({
    transport: (inner) => ({
      dial: (peer) => inner.dial({ ...peer, site: peer.url.split('/').at(-1) ?? peer.site }),
    }),
  })),
} as const satisfies Readonly<Record<string, (network: TransportNetwork) => TransportNetwork>>;

async function* noFrames(): AsyncGenerator<Uint8Array> {}

/** Ends some turns of the event loop behind its return(). */
async function* slowToEnd(frames: Frames): AsyncGenerator<Uint8Array> {
  for await (const frame of frames) {
    let hasPassed = false;
    try {
      yield frame;
      hasPassed = true;
    } finally {
      if (!hasPassed) for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** A frame that equals the body is the body. */
function sharing(): (network: TransportNetwork) => TransportNetwork {
  return mutant(() => ({
    call: (inner) => (name, body, signal) =>
      stepping(inner(name, body, signal), async (iterator) => {
        const result = await iterator.next();
        return result.done !== true && Buffer.compare(result.value, body) === 0 ? { ...result, value: body } : result;
      }),
  }));
}

/** Once, where the error says that it may be. */
function repeating(inner: Call): Call {
  return (...args) => {
    let again: AsyncIterator<Uint8Array> | undefined;
    return stepping(inner(...args), async (iterator) => {
      try {
        return await (again ?? iterator).next();
      } catch (error) {
        if (again !== undefined || !(error as SkerryError).retryable) throw error;
        again = inner(...args)[Symbol.asyncIterator]();
        return again.next();
      }
    });
  };
}
