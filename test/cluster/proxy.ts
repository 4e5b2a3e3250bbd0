/** The link from a site to a peer that it dials: a TCP proxy that a test may cut, slow down, or let hang one way. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** `out`: what the dialing site sends; `back`: what it is answered. */
export type Direction = 'out' | 'back';

export interface LinkProxy {
  readonly url: string;
  /** Breaks what runs and refuses what comes until `heal`. */
  cut(): void;
  /** Nothing passes this way until `heal`, while connections stay and the other way goes on: a one-way cut. */
  stall(direction: Direction): void;
  /** Every piece waits this long, milliseconds; 0 for none. */
  slow(delayMs: number): void;
  heal(): void;
  /** Bytes both ways so far. */
  carriedBytes(): number;
  close(): Promise<void>;
}

interface LinkState {
  isCut: boolean;
  delayMs: number;
  stalled: Direction | undefined;
  carriedBytes: number;
  /** Pieces that wait for `heal`. */
  readonly held: Set<() => void>;
}

export async function startProxy(target: () => number): Promise<LinkProxy> {
  const sockets = new Set<Socket>();
  const state: LinkState = { isCut: false, delayMs: 0, stalled: undefined, carriedBytes: 0, held: new Set() };
  const server: Server = createServer((client) => {
    if (state.isCut) return void client.destroy();
    const upstream = connect(target(), '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('close', () => sockets.delete(socket));
    }
    pass(client, upstream, 'out', state);
    pass(upstream, client, 'back', state);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const release = (): void => {
    for (const send of state.held) send();
    state.held.clear();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      state.isCut = true;
      breakAll();
    },
    stall: (direction) => void (state.stalled = direction),
    slow: (delayMs) => void (state.delayMs = delayMs),
    heal() {
      state.isCut = false;
      state.delayMs = 0;
      state.stalled = undefined;
      release();
    },
    carriedBytes: () => state.carriedBytes,
    async close() {
      breakAll();
      release();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function pass(from: Socket, to: Socket, direction: Direction, state: LinkState): void {
  from.on('data', (piece: Buffer) => {
    from.pause();
    const send = (): void => {
      state.carriedBytes += piece.length;
      to.write(piece, () => from.resume());
    };
    if (state.stalled === direction) state.held.add(send);
    else if (state.delayMs > 0) setTimeout(send, state.delayMs).unref();
    else send();
  });
  from.on('close', () => to.destroy());
  from.on('error', () => to.destroy());
}
