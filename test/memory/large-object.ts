/**
 * One large object up and down through a real site, and what the process needed for it at most. The body is a pattern whose MD5
 * is computed while it is sent, so neither side ever holds it.
 */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { startServer } from '../bench/server.ts';
import { Signer } from '../bench/signer.ts';

const HOST = '127.0.0.1';
const BUCKET = 'large';
const MIB = 1024 * 1024;

export interface LargeObjectReport {
  readonly uploadPeakBytes: number;
  readonly downloadPeakBytes: number;
  readonly sentMd5: string;
  readonly etag: string;
  readonly receivedMd5: string;
  readonly receivedBytes: number;
}

interface Exchange {
  readonly port: number;
  readonly head: string;
  /** Pieces of the body; each may be changed when the next is asked for. */
  readonly body?: Iterable<Buffer>;
  readonly onData: (piece: Buffer) => void;
}

/** One request on a connection of its own; answers the head of the response. */
async function exchange({ port, head, body, onData }: Exchange): Promise<string> {
  const socket = connect({ port, host: HOST, noDelay: true });
  const ended = new Promise<string>((resolve, reject) => {
    let seen = Buffer.alloc(0);
    let answer: string | undefined;
    socket.on('error', reject);
    socket.on('close', () => (answer === undefined ? reject(new Error('no answer')) : resolve(answer)));
    socket.on('data', (piece: Buffer) => {
      if (answer !== undefined) return onData(piece);
      seen = Buffer.concat([seen, piece]);
      const end = seen.indexOf('\r\n\r\n');
      if (end < 0) return;
      answer = seen.toString('latin1', 0, end);
      if (seen.length > end + 4) onData(seen.subarray(end + 4));
    });
  });
  socket.write(head, 'latin1');
  for (const piece of body ?? []) {
    await new Promise<void>((resolve, reject) => socket.write(piece, (error) => (error ? reject(error) : resolve())));
  }
  const answer = await ended;
  if (!answer.startsWith('HTTP/1.1 200')) throw new Error(answer);
  return answer;
}

/** `sizeMiB` blocks that all differ, so that none is stored once for another; `hash` has seen all of them in the end. */
function* blocks(sizeMiB: number, hash: { update(bytes: Buffer): unknown }): Generator<Buffer> {
  const block = Buffer.alloc(MIB, 'skerry');
  for (let index = 0; index < sizeMiB; index++) {
    block.writeUInt32LE(index, 0);
    hash.update(block);
    yield block;
  }
}

export async function moveLargeObject(sizeMiB: number): Promise<LargeObjectReport> {
  const server = await startServer(BUCKET);
  try {
    const { port, credentials } = server;
    const signer = new Signer(credentials, `${HOST}:${port}`);
    const path = `/${BUCKET}/object`;
    const head = (method: string, more = ''): string =>
      `${method} ${path} HTTP/1.1\r\n${signer.headers(method, path, '', 'UNSIGNED-PAYLOAD')}connection: close\r\n${more}\r\n`;
    await server.peakBytes();
    const sent = createHash('md5');
    const answer = await exchange({
      port,
      head: head('PUT', `content-length: ${sizeMiB * MIB}\r\n`),
      body: blocks(sizeMiB, sent),
      onData: () => undefined,
    });
    const uploadPeakBytes = await server.peakBytes();
    const received = createHash('md5');
    let receivedBytes = 0;
    await exchange({
      port,
      head: head('GET'),
      onData: (piece) => {
        received.update(piece);
        receivedBytes += piece.length;
      },
    });
    return {
      uploadPeakBytes,
      downloadPeakBytes: await server.peakBytes(),
      sentMd5: sent.digest('hex'),
      etag: /\r\netag: *"([^"]+)"/i.exec(answer)?.[1] ?? '',
      receivedMd5: received.digest('hex'),
      receivedBytes,
    };
  } finally {
    await server.stop();
  }
}

export const describeReport = (sizeMiB: number, report: LargeObjectReport): string =>
  `${sizeMiB} MiB: peak ${(report.uploadPeakBytes / MIB).toFixed(0)} MiB up, ${(report.downloadPeakBytes / MIB).toFixed(0)} MiB down`;
