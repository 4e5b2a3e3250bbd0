/** One site's end of a hub: answers calls with `listen`, makes them through `dial`. */
import {
  SkerryError,
  type PeerAddress,
  type PeerIdentity,
  type PeerLink,
  type ServeCall,
  type Transport,
} from '../../core/contracts/index.ts';
import { CallAnswer } from './call-answer.ts';
import type { Listener, MemoryHub } from './hub.ts';
import { FRAME_MAX_BYTES, type FrameStream } from './stream.ts';

const CALL_NAME = /^[a-z][a-z0-9-]*$/;

export class MemoryTransport implements Transport {
  readonly #hub: MemoryHub;
  #state: 'new' | 'open' | 'closed' = 'new';
  #listener: Listener | undefined;
  readonly #links = new Set<MemoryLink>();
  /** Calls that are being answered here, each with the promise of its generator's end. */
  readonly #served = new Map<FrameStream, Promise<void>>();

  constructor(hub: MemoryHub) {
    this.#hub = hub;
  }

  async open(): Promise<void> {
    if (this.#state === 'closed') throw closed();
    if (this.#state === 'open') throw new SkerryError('InvalidArgument', 'the transport was opened before');
    this.#state = 'open';
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    if (this.#listener !== undefined) this.#hub.remove(this.#listener);
    for (const link of this.#links) link.end();
    const gone = new SkerryError('Unavailable', 'the peer closed its transport');
    for (const stream of this.#served.keys()) stream.cancel(gone);
    await Promise.all(this.#served.values());
  }

  async listen(self: PeerIdentity, serve: ServeCall): Promise<readonly string[]> {
    if (this.#state !== 'open') throw closed();
    if (this.#listener !== undefined) throw new SkerryError('InvalidArgument', 'the transport listens already');
    const listener: Listener = {
      self: Object.freeze({ ...self }),
      answer: (call, stream) => {
        const answered = stream.pump(() => serve({ ...call, signal: stream.signal }));
        this.#served.set(
          stream,
          answered.finally(() => this.#served.delete(stream)),
        );
      },
    };
    const url = this.#hub.add(listener);
    this.#listener = listener;
    return [url];
  }

  dial(peer: PeerAddress): PeerLink {
    const link = new MemoryLink({
      start: (name, body, stream) => this.#start(peer, name, body, stream),
      forget: () => this.#links.delete(link),
    });
    if (this.#state === 'open') this.#links.add(link);
    else link.end();
    return link;
  }

  /** The peer learns who calls from the transport itself, not from what a call says. */
  #start(peer: PeerAddress, name: string, body: Uint8Array, stream: FrameStream): void {
    if (!CALL_NAME.test(name)) throw new SkerryError('InvalidArgument', `no name of a call: ${name}`);
    if (body.length > FRAME_MAX_BYTES) throw new SkerryError('TooLarge', `a request body of ${body.length} bytes`);
    const from = this.#listener?.self;
    if (from === undefined)
      throw new SkerryError('Unauthenticated', 'only a site that listens can call: it has no identity');
    this.#hub.find(peer).answer({ name, from, body: new Uint8Array(body) }, stream);
  }
}

interface LinkPorts {
  readonly start: (name: string, body: Uint8Array, stream: FrameStream) => void;
  readonly forget: () => void;
}

class MemoryLink implements PeerLink {
  readonly #ports: LinkPorts;
  readonly #answers = new Set<CallAnswer>();
  #ended = false;

  constructor(ports: LinkPorts) {
    this.#ports = ports;
  }

  /** Nothing happens before the first frame is asked for, so a call that nobody reads costs nothing. */
  call(name: string, body: Uint8Array, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const answer = new CallAnswer({
      signal,
      start: (stream) => {
        if (this.#ended) throw closed();
        this.#ports.start(name, body, stream);
        this.#answers.add(answer);
      },
      released: () => this.#answers.delete(answer),
    });
    return answer;
  }

  async close(): Promise<void> {
    this.end();
    this.#ports.forget();
  }

  end(): void {
    this.#ended = true;
    for (const answer of this.#answers) answer.cancel(closed());
  }
}

function closed(): SkerryError {
  return new SkerryError('Closed', 'the transport or link is not open');
}
