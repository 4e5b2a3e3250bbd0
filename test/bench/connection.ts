/** One HTTP/1.1 keep-alive connection that sends a request, counts the answer's bytes, and keeps only small bodies. */
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly headers: string;
  /** Body, when it is at most `keepMaxBytes`; else empty. */
  readonly body: Buffer;
}

const KEEP_MAX_BYTES = 1024 * 1024;

interface Pending {
  readonly method: string;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

export class Connection {
  readonly #socket: Socket;
  readonly #keepMaxBytes: number;
  #keeps = false;
  #pending: Pending | undefined;
  #head: Buffer = Buffer.alloc(0);
  #headers = '';
  #status = 0;
  #remaining = -1;
  #kept: Buffer[] = [];

  constructor(port: number, host: string, keepMaxBytes = KEEP_MAX_BYTES) {
    this.#keepMaxBytes = keepMaxBytes;
    this.#socket = connect({ port, host, noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('connection closed by the server')));
  }

  request(method: string, target: string, headerLines: string, body?: Uint8Array): Promise<Answer> {
    // a write to a socket that is gone is never answered, nor refused
    if (this.#socket.destroyed) return Promise.reject(new Error('connection closed by the server'));
    return new Promise((resolve, reject) => {
      this.#pending = { method, resolve, reject };
      const length = body ? `content-length: ${body.length}\r\n` : '';
      const head = `${method} ${target} HTTP/1.1\r\n${headerLines}${length}\r\n`;
      if (!body) return void this.#socket.write(head, 'latin1');
      this.#socket.cork();
      this.#socket.write(head, 'latin1');
      this.#socket.write(body);
      this.#socket.uncork();
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.#remaining >= 0) return this.#body(chunk);
    this.#head = this.#head.length > 0 ? Buffer.concat([this.#head, chunk]) : chunk;
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return;
    this.#headers = this.#head.toString('latin1', 0, end);
    this.#status = Number(this.#headers.slice(9, 12));
    const rest = this.#head.subarray(end + 4);
    this.#head = Buffer.alloc(0);
    this.#remaining =
      this.#pending?.method === 'HEAD'
        ? 0
        : Number(/\r\ncontent-length: *(\d+)/i.exec(this.#headers)?.[1] ?? (this.#status === 204 ? 0 : Number.NaN));
    if (Number.isNaN(this.#remaining)) return this.#fail(new Error(`answer without content-length: ${this.#headers}`));
    this.#keeps = this.#remaining <= this.#keepMaxBytes;
    this.#body(rest);
  }

  #body(chunk: Buffer): void {
    this.#remaining -= chunk.length;
    if (chunk.length > 0 && this.#keeps) this.#kept.push(chunk);
    if (this.#remaining > 0) return;
    const { resolve } = this.#pending as Pending;
    const answer = { status: this.#status, headers: this.#headers, body: Buffer.concat(this.#kept) };
    this.#remaining = -1;
    this.#kept = [];
    this.#pending = undefined;
    resolve(answer);
  }

  #fail(error: Error): void {
    this.#pending?.reject(error);
    this.#pending = undefined;
  }
}
