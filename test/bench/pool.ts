/** Signed requests over a few connections of the driver's own: for what the load generator does not know, such as tokens. */
import { Connection, type Answer } from './connection.ts';
import { EMPTY_SHA256, Signer, sha256Hex, type Credentials } from './signer.ts';

const HOST = '127.0.0.1';

export interface PoolRequest {
  readonly method: 'PUT' | 'HEAD';
  readonly path: string;
  /** Lines that are not signed. */
  readonly headers?: string;
  readonly body?: Buffer;
}

export class Pool {
  readonly #signer: Signer;
  readonly #port: number;
  readonly #idle: Connection[] = [];
  readonly #waiting: ((connection: Connection) => void)[] = [];

  constructor(port: number, credentials: Credentials, size: number) {
    this.#port = port;
    this.#signer = new Signer(credentials, `${HOST}:${port}`);
    for (let i = 0; i < size; i++) this.#idle.push(new Connection(port, HOST));
  }

  /** Rejects for any status of 300 and above. */
  async send({ method, path, headers = '', body }: PoolRequest): Promise<Answer> {
    const connection = await this.#take();
    try {
      const signed = this.#signer.headers(method, path, '', body ? sha256Hex(body) : EMPTY_SHA256);
      const answer = await connection.request(method, path, signed + headers, body);
      if (answer.status >= 300) throw new Error(`${method} ${path} at ${this.#port}: ${answer.status}`);
      return answer;
    } finally {
      const next = this.#waiting.shift();
      if (next) next(connection);
      else this.#idle.push(connection);
    }
  }

  close(): void {
    for (const connection of this.#idle) connection.close();
  }

  #take(): Promise<Connection> {
    const idle = this.#idle.pop();
    return idle ? Promise.resolve(idle) : new Promise((resolve) => this.#waiting.push(resolve));
  }
}
