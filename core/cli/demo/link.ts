/** One direction of the network between two sites of the demonstration: a TCP relay that can be cut. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export class Link {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #targetPort = 0;
  #isCut = false;

  constructor() {
    this.#server = createServer((client) => this.#relay(client));
  }

  async open(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen(0, '127.0.0.1', resolve);
    await promise;
    this.#server.off('error', reject);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Where it leads; until then nobody gets through. */
  leadTo(port: number): void {
    this.#targetPort = port;
  }

  /** Breaks what runs and refuses what comes, until `heal`. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  heal(): void {
    this.#isCut = false;
  }

  async close(): Promise<void> {
    this.cut();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve()); // one that never opened is closed too
    await promise;
  }

  #relay(client: Socket): void {
    if (this.#isCut || this.#targetPort === 0) return void client.destroy();
    const target = connect(this.#targetPort, '127.0.0.1');
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.pipe(to);
      from.on('error', () => to.destroy()); // the other end sees a broken connection, as on a real network
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}
