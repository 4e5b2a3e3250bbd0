/** The transport of one boot of a simulated site: the contract of every transport, over the simulated network. */
import {
  SkerryError,
  type PeerAddress,
  type PeerIdentity,
  type PeerLink,
  type ServeCall,
  type Transport,
} from '../../core/contracts/index.ts';
import { SimCall } from './call.ts';
import type { Lane } from './lane.ts';
import { FRAME_MAX_BYTES, type Endpoint, type Network } from './network.ts';

const CALL_NAME = /^[a-z][a-z0-9-]*$/;

export class SimTransport implements Transport {
  readonly #network: Network;
  readonly #host: string;
  readonly #lane: Lane;
  readonly #calls = new Set<SimCall>();
  #endpoint: Endpoint | undefined;
  #closed = false;

  constructor(network: Network, host: string, lane: Lane) {
    this.#network = network;
    this.#host = host;
    this.#lane = lane;
  }

  async open(): Promise<void> {}

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#endpoint !== undefined) this.#network.close(this.#host, this.#endpoint);
    for (const call of this.#calls) call.fail(closed());
  }

  async listen(self: PeerIdentity, serve: ServeCall): Promise<readonly string[]> {
    if (this.#closed) throw closed();
    if (this.#endpoint !== undefined) throw new SkerryError('InvalidArgument', 'the transport listens already');
    const endpoint: Endpoint = { lane: this.#lane, self: Object.freeze({ ...self }), serve };
    const url = this.#network.listen(this.#host, endpoint);
    this.#endpoint = endpoint;
    return [url];
  }

  dial(peer: PeerAddress): PeerLink {
    const running = new Set<SimCall>();
    let ended = false;
    return {
      call: (name, body, signal) => {
        const call = new SimCall({
          network: this.#network,
          callerLane: this.#lane,
          from: this.#host,
          to: this.#network.hostOf(peer),
          site: peer.site,
          name,
          body: new Uint8Array(body),
          signal,
          admit: () => {
            if (ended || this.#closed) throw closed();
            running.add(call);
            this.#calls.add(call);
            return this.#identityFor(name, body);
          },
          released: () => {
            running.delete(call);
            this.#calls.delete(call);
          },
        });
        return call;
      },
      close: async () => {
        ended = true;
        for (const call of running) call.fail(closed());
      },
    };
  }

  #identityFor(name: string, body: Uint8Array): PeerIdentity {
    if (!CALL_NAME.test(name)) throw new SkerryError('InvalidArgument', `no name of a call: ${name}`);
    if (body.length > FRAME_MAX_BYTES) throw new SkerryError('TooLarge', `a request body of ${body.length} bytes`);
    if (this.#endpoint === undefined)
      throw new SkerryError('Unauthenticated', 'only a site that listens can call: it has no identity');
    return this.#endpoint.self;
  }
}

function closed(): SkerryError {
  return new SkerryError('Closed', 'the transport or link is not open');
}
