/** A whole site, and a client that may send anything. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';

import type { Site } from '../../core/kernel/site.ts';
import type { AuthRequest } from '../../core/contracts/index.ts';
import { signHeader, type PlainRequest, type SigningOptions } from '../../harness/conformance/auth/signer.ts';
import { childText, parseXml, type XmlNode } from '../../plugins/gateway-s3/xml.ts';
import { configuredSite } from '../support/configured-site.ts';

export const ROOT = { accessKeyId: 'ROOTKEY', secretKey: 'rootsecretrootsecret' } as const;
export const BUCKET = 'photos';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  /** Of an error document; '' when the answer is none. */
  readonly code: string;
  /** An element of the error document. */
  field(name: string): string | undefined;
}

export class BadInputRig implements AsyncDisposable {
  readonly dataDir: string;
  readonly port: number;
  readonly site: Site;
  readonly #owned: string | undefined;

  private constructor(site: Site, dataDir: string, owned: string | undefined) {
    this.site = site;
    this.dataDir = dataDir;
    this.#owned = owned;
    this.port = Number(new URL(site.addresses()[0] ?? '').port);
  }

  /** With `dataDir`: on data that the caller keeps. */
  static async start(
    options: { readonly gateway?: object; readonly chunkStore?: object; readonly dataDir?: string } = {},
  ): Promise<BadInputRig> {
    const owned = options.dataDir === undefined ? await mkdtemp(join(tmpdir(), 'skerry-bad-input-')) : undefined;
    const dataDir = options.dataDir ?? join(owned ?? '', 'data');
    const site = await configuredSite(dataDir, {
      plugins: {
        auth: {
          use: 'sigv4',
          identities: [
            { accessKey: ROOT.accessKeyId, secretKey: ROOT.secretKey, policy: 'admin', account: '000000000001' },
          ],
        },
        chunkStore: { use: 'fs', ...options.chunkStore },
        gateways: [{ use: 's3', listen: '127.0.0.1:0', ...options.gateway }],
      },
      seed: { buckets: [BUCKET] },
    });
    await site.start();
    return new BadInputRig(site, dataDir, owned);
  }

  get #host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Signed in the header, as the root user and now unless said otherwise. */
  sign(plain: PlainRequest, how: Partial<SigningOptions> = {}): AuthRequest {
    const headers = { host: this.#host, ...plain.headers };
    return signHeader({ ...plain, headers }, { who: ROOT, timeMs: Date.now(), ...how }).request;
  }

  /** Signs and sends. */
  call(plain: PlainRequest, how: Partial<SigningOptions> = {}): Promise<Answer> {
    return this.send(this.sign(plain, how), plain.body);
  }

  async send({ method, rawPath, rawQuery, headers }: AuthRequest, body?: Uint8Array): Promise<Answer> {
    const path = rawQuery === '' ? rawPath : `${rawPath}?${rawQuery}`;
    const lists = Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, values.join(',')]));
    if (body !== undefined) lists['content-length'] ??= String(body.length);
    const request = httpRequest({ port: this.port, host: '127.0.0.1', method, path, headers: lists, agent: false });
    // a server that refuses early closes under a body that is still being sent; before the answer `once` rejects
    request.on('error', () => undefined);
    request.end(body);
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    return answerOf(answer, await buffer(answer));
  }

  put(key: string, body: Uint8Array): Promise<Answer> {
    return this.call({ method: 'PUT', path: `/${BUCKET}/${key}`, body });
  }

  get(key: string): Promise<Answer> {
    return this.call({ path: `/${BUCKET}/${key}` });
  }

  /** A raw connection. */
  connect(): Socket {
    return connect(this.port, '127.0.0.1');
  }

  /** Head of a signed PUT of an unsigned payload of `length` bytes, as it goes over the wire. */
  putHead(key: string, length: number): string {
    const plain = {
      method: 'PUT',
      path: `/${BUCKET}/${key}`,
      payloadHash: 'UNSIGNED-PAYLOAD',
      headers: { 'content-length': String(length) },
    };
    const { method, rawPath, headers } = this.sign(plain);
    const lines = Object.entries(headers).map(([name, values]) => `${name}: ${values.join(',')}\r\n`);
    return `${method} ${rawPath} HTTP/1.1\r\n${lines.join('')}\r\n`;
  }

  /** Bytes of data that are stored and referred to, or about to be. */
  async liveBytes(): Promise<number> {
    return (await this.site.status()).storage.liveBytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.site.stop({ graceMs: 0 });
    if (this.#owned !== undefined) await rm(this.#owned, { recursive: true, force: true });
  }
}

function answerOf(answer: IncomingMessage, body: Buffer): Answer {
  const isError = (answer.statusCode ?? 0) >= 400 && body.length > 0;
  const error: XmlNode | undefined = isError ? parseXml(body.toString('utf8')) : undefined;
  const field = (name: string): string | undefined => (error === undefined ? undefined : childText(error, name));
  return { status: answer.statusCode ?? 0, headers: answer.headers, body, code: field('Code') ?? '', field };
}

/** Everything that a socket receives until it ends, however it ends. */
export async function allOf(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => (text += piece));
  socket.on('error', () => socket.destroy());
  await once(socket, 'close');
  return text;
}

/** Turns of the event loop until it holds; the test's own limit ends a wait in vain. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}
