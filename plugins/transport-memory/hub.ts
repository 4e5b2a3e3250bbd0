/** Where transports of one process find each other. */
import { SkerryError, type IncomingCall, type PeerAddress, type PeerIdentity } from '../../core/contracts/index.ts';
import type { FrameStream } from './stream.ts';

/** The serving side of a site, as the hub sees it. */
export interface Listener {
  readonly self: PeerIdentity;
  /** Starts to answer a call into `stream`. */
  answer(call: Omit<IncomingCall, 'signal'>, stream: FrameStream): void;
}

export interface MemoryHub {
  /** The address that it answers on. Refuses a second listener of one site with `AlreadyExists`. */
  add(listener: Listener): string;
  remove(listener: Listener): void;
  /** Refuses with `Unavailable` where nobody listens, or another site than the one that was dialled. */
  find(peer: PeerAddress): Listener;
}

/** A hub of its own, for a harness that runs many clusters in one process. */
export function createMemoryHub(name = 'hub'): MemoryHub {
  const listeners = new Map<string, Listener>();
  const urlOf = ({ site }: PeerIdentity): string => `memory://${name}/${site}`;
  return {
    add(listener) {
      const url = urlOf(listener.self);
      if (listeners.has(url)) throw new SkerryError('AlreadyExists', `${url} is answered already`);
      listeners.set(url, listener);
      return url;
    },
    remove(listener) {
      const url = urlOf(listener.self);
      if (listeners.get(url) === listener) listeners.delete(url);
    },
    find({ site, url }) {
      const listener = listeners.get(url);
      if (listener === undefined) throw new SkerryError('Unavailable', `nobody answers on ${url}`);
      if (listener.self.site === site) return listener;
      throw new SkerryError('Unavailable', `${url} is ${listener.self.site}, not ${site}`);
    },
  };
}

/** Hubs that configs name. Held weakly: a hub lives as long as a transport that was created on it. */
const named = new Map<string, WeakRef<MemoryHub>>();

export function namedHub(name: string): MemoryHub {
  const known = named.get(name)?.deref();
  if (known !== undefined) return known;
  const hub = createMemoryHub(name);
  named.set(name, new WeakRef(hub));
  return hub;
}
