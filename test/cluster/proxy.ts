/** One direction of a link between two sites: a TCP proxy that a test may cut, slow down, or point elsewhere. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface LinkProxy {
  readonly url: string;
  /** Breaks what runs and refuses what comes until `heal`. */
  cut(): void;
  /** Every piece waits this long, milliseconds; 0 for none. */
  slow(delayMs: number): void;
  heal(): void;
  close(): Promise<void>;
}

export async function startProxy(target: () => number): Promise<LinkProxy> {
  const sockets = new Set<Socket>();
  const state = { isCut: false, delayMs: 0 };
  const server: Server = createServer((client) => {
    if (state.isCut) return void client.destroy();
    const upstream = connect(target(), '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('close', () => sockets.delete(socket));
    }
    pass(client, upstream, state);
    pass(upstream, client, state);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      state.isCut = true;
      breakAll();
    },
    slow: (delayMs) => void (state.delayMs = delayMs),
    heal() {
      state.isCut = false;
      state.delayMs = 0;
    },
    async close() {
      breakAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function pass(from: Socket, to: Socket, state: { readonly delayMs: number }): void {
  from.on('data', (piece: Buffer) => {
    from.pause();
    const send = (): void => {
      to.write(piece, () => from.resume());
    };
    if (state.delayMs > 0) setTimeout(send, state.delayMs).unref();
    else send();
  });
  from.on('close', () => to.destroy());
  from.on('error', () => to.destroy());
}
