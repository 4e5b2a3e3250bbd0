/** What the tests of transport-http share: sites on loopback, raw sockets, requests signed by hand. */
import net from 'node:net';

import type { Logger, PeerIdentity, ServeCall } from '../../../core/contracts/index.ts';
import { FRAME, FrameEncoder } from '../../../plugins/transport-http/frames.ts';
import plugin from '../../../plugins/transport-http/index.ts';
import type { Options } from '../../../plugins/transport-http/options.ts';
import { frameKeys, sha256, signClaim, type Claim } from '../../../plugins/transport-http/signature.ts';
import { HttpTransport } from '../../../plugins/transport-http/transport.ts';
import { defaultOptions, pluginDeps, silentLogger } from '../../support/plugin-deps.ts';

export const KEY = 'a cluster key that is long enough';
export const NONE = new Uint8Array(0);
export const identity = (site: string): PeerIdentity => ({ site, origin: `${site}.0123456789abcdef` });
export const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

export async function* nothing(): AsyncGenerator<Uint8Array> {}

/** What was logged as a warning, by reason. */
export function listeningLogger() {
  const reasons: unknown[] = [];
  const warn = (fields: object): void => void reasons.push((fields as { readonly reason?: unknown }).reason);
  const logger: Logger = { ...silentLogger, warn, child: () => logger };
  return { logger, reasons };
}

export const optionsWith = (overrides: Partial<Options>): Options =>
  defaultOptions<Options>(plugin.options, { listen: { host: '127.0.0.1', port: 0 }, clusterKey: KEY, ...overrides });

export async function siteWith(
  site: string,
  options: Options,
  serve: ServeCall = nothing,
  logger: Logger = silentLogger,
) {
  const transport = new HttpTransport(pluginDeps('unused', logger), options);
  await transport.open();
  const [url = ''] = await transport.listen(identity(site), serve);
  return { transport, address: { site, url } };
}

export async function collect(frames: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const frame of frames) all.push(frame);
  return all;
}

/** A socket to a listener that keeps what it is sent. */
export async function rawSocket(url: string) {
  const { hostname, port } = new URL(url);
  const socket = net.connect(Number(port), hostname);
  const received: Buffer[] = [];
  const closed = Promise.withResolvers<string>();
  let wanted: { readonly pattern: RegExp; readonly found: () => void } | undefined;
  const text = (): string => Buffer.concat(received).toString('latin1');
  socket.on('data', (chunk) => {
    received.push(chunk);
    if (wanted?.pattern.test(text()) === true) wanted.found();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => closed.resolve(text()));
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once('connect', resolve);
  await promise;
  const until = async (pattern: RegExp): Promise<string> => {
    const { promise: found, resolve: onFound } = Promise.withResolvers<void>();
    wanted = { pattern, found: onFound };
    if (!pattern.test(text())) await Promise.race([found, closed.promise]);
    return text();
  };
  return { socket, closed: closed.promise, until };
}

let nonces = 0;

/** A signed head as `a` sends it to `b`, with anything in it changed. */
export function signedHead(change: Partial<Claim> = {}, { key = KEY, name = 'c' } = {}) {
  const claim: Claim = {
    from: identity('a').origin,
    to: 'b',
    timeMs: Date.now(),
    nonce: (nonces++).toString(16).padStart(32, '0'),
    sentBytes: 0,
    rawBytes: 0,
    encoding: 'none',
    accept: 'none',
    hash: sha256(NONE),
    ...change,
  };
  const { header, signed } = signClaim(key, name, claim);
  return { signed, head: headOf(name, header) };
}

export const headOf = (name: string, authorization: string): string =>
  `POST /skerry/1/${name} HTTP/1.1\r\nhost: b\r\nauthorization: ${authorization}\r\ntransfer-encoding: chunked\r\n\r\n`;

export function httpChunk(payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${payload.length.toString(16)}\r\n`), payload, Buffer.from('\r\n')]);
}

/** The nonce that the server answered with. */
export const nonceOf = (answer: string): string => /x-skerry-answer: nonce=([0-9a-f]{32})/.exec(answer)?.[1] ?? '';

/** A credit frame as the caller of that request may send it. */
export function creditFrame(signed: Parameters<typeof frameKeys>[1], nonce: string, count: number): Uint8Array {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(count);
  const pieces = new FrameEncoder(frameKeys(KEY, signed, nonce).caller).encode(FRAME.credit, payload);
  return Buffer.concat(pieces);
}
