/** The body of a request, and what must be true of it: payload hash, Content-MD5, one checksum in a header or a trailer. */
import type {
  BodySource,
  ChecksumAlgorithm,
  HashAlgorithm,
  Hashing,
  RequestedChecksum,
} from '../../core/contracts/index.ts';
import { s3Error } from './errors.ts';
import type { Exchange } from './exchange-adapter.ts';
import type { S3Request, TextOptions } from './operation.ts';

/** Bodies up to this size are taken whole, in one array. */
export const SMALL_BODY_BYTES = 65_536;

/** The part of a request that its body depends on. */
export interface BodyRequest extends Pick<S3Request, 'header' | 'authenticated' | 'contentLength'> {
  readonly exchange: Pick<Exchange, 'body'>;
  /** True when the request has a body at all. */
  readonly hasBody: boolean;
}

export interface ChecksumKind {
  readonly algorithm: ChecksumAlgorithm;
  readonly header: string;
  readonly hash: HashAlgorithm;
  readonly bytes: number;
}

const kind = (algorithm: ChecksumAlgorithm, hash: HashAlgorithm, bytes: number): ChecksumKind => ({
  algorithm,
  header: `x-amz-checksum-${algorithm.toLowerCase()}`,
  hash,
  bytes,
});

/** Every checksum S3 knows: its header, its hash and the digest's length in bytes. */
export const CHECKSUMS: readonly ChecksumKind[] = [
  kind('CRC32', 'crc32', 4),
  kind('CRC32C', 'crc32c', 4),
  kind('CRC64NVME', 'crc64nvme', 8),
  kind('SHA1', 'sha1', 20),
  kind('SHA256', 'sha256', 32),
  kind('MD5', 'md5', 16),
];
const BY_HEADER: ReadonlyMap<string, ChecksumKind> = new Map(CHECKSUMS.map((one) => [one.header, one]));

/** An algorithm as a header or a form field names it, any case. */
export function checksumAlgorithm(name: string, headerName: string): ChecksumAlgorithm {
  const found = CHECKSUMS.find((one) => one.algorithm === name.toUpperCase());
  if (found !== undefined) return found.algorithm;
  const known = CHECKSUMS.map((one) => one.algorithm).join(', ');
  throw s3Error('InvalidRequest', `Value for ${headerName} header is invalid. Valid values: ${known}.`);
}

/** True for the base64 text of exactly that many bytes. */
export function isBase64Of(text: string, bytes: number): boolean {
  const decoded = Buffer.from(text, 'base64');
  return decoded.length === bytes && decoded.toString('base64') === text;
}

function contentMd5(request: BodyRequest): string | undefined {
  const md5 = request.header('content-md5')?.trim();
  if (md5 === undefined) return undefined;
  if (!isBase64Of(md5, 16)) throw s3Error('InvalidDigest', 'The Content-MD5 you specified is not valid.');
  return md5;
}

function headerChecksum(request: BodyRequest): RequestedChecksum | undefined {
  let found: RequestedChecksum | undefined;
  for (const one of CHECKSUMS) {
    const value = request.header(one.header);
    if (value === undefined) continue;
    if (found !== undefined) {
      const message = 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.';
      throw s3Error('InvalidRequest', message);
    }
    if (!isBase64Of(value, one.bytes)) throw s3Error('InvalidRequest', `Value for ${one.header} header is invalid.`);
    found = { algorithm: one.algorithm, expected: value };
  }
  return found;
}

function trailerChecksum(request: BodyRequest): RequestedChecksum | undefined {
  const announced = request.header('x-amz-trailer');
  if (announced === undefined) return undefined;
  const { payload } = request.authenticated;
  const names = announced.split(',').map((name) => name.trim().toLowerCase());
  const [name = ''] = names;
  const one = BY_HEADER.get(name);
  if (names.length !== 1 || one === undefined) {
    throw s3Error('InvalidRequest', 'The value specified in the x-amz-trailer header is not supported');
  }
  if (payload.kind !== 'framed') {
    throw s3Error('InvalidRequest', 'x-amz-trailer needs a STREAMING-...-TRAILER value in x-amz-content-sha256.');
  }
  return { algorithm: one.algorithm, trailer: () => payload.trailers()[one.header] };
}

/** The one checksum a request asks for. Throws InvalidRequest when it names several or contradicts itself. */
export function requestedChecksum(request: BodyRequest): RequestedChecksum | undefined {
  const inHeader = headerChecksum(request);
  const inTrailer = trailerChecksum(request);
  if (inHeader !== undefined && inTrailer !== undefined) {
    throw s3Error('InvalidRequest', 'Expecting a single x-amz-checksum- header');
  }
  const found = inHeader ?? inTrailer;
  const named = request.header('x-amz-sdk-checksum-algorithm');
  if (named === undefined) return found;
  const algorithm = checksumAlgorithm(named, 'x-amz-sdk-checksum-algorithm');
  if (found === undefined) {
    const message =
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.';
    throw s3Error('InvalidRequest', message);
  }
  if (found.algorithm !== algorithm) {
    throw s3Error('InvalidRequest', 'Value for x-amz-sdk-checksum-algorithm header is invalid.');
  }
  return found;
}

async function collect(pieces: AsyncIterable<Uint8Array>, limitBytes: number): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const piece of pieces) {
    total += piece.length;
    if (total > limitBytes) return undefined;
    parts.push(piece);
  }
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, total);
}

/** All bytes, or `undefined` when there are more than `limitBytes`. */
function whole(request: BodyRequest, limitBytes: number): Promise<Uint8Array | undefined> {
  const { payload } = request.authenticated;
  if (payload.kind === 'framed') return collect(payload.decode(request.exchange.body()), limitBytes);
  if (!request.hasBody) return Promise.resolve(new Uint8Array(0));
  return request.exchange.body().readAll(limitBytes);
}

/**
 * Gives back a piece's memory at once. What lies outside the heap is seen by the garbage collector as a number only: it would let
 * tens of megabytes of read pieces pile up and then collect everything, again and again. A piece that shares its memory stays.
 */
function freePiece(piece: Uint8Array): void {
  const { buffer } = piece;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === piece.length) buffer.transfer(0);
}

/** See S3Request.body. */
export async function bodySource(request: BodyRequest): Promise<BodySource> {
  const { payload } = request.authenticated;
  const size = request.contentLength;
  const md5 = contentMd5(request);
  const checksum = requestedChecksum(request);
  const demands = {
    ...(size === undefined ? undefined : { size }),
    ...(payload.kind === 'sha256' ? { sha256: payload.hex } : undefined),
    ...(md5 === undefined ? undefined : { md5 }),
    ...(checksum === undefined ? undefined : { checksum }),
  };
  if (size !== undefined && size <= SMALL_BODY_BYTES) {
    const bytes = await whole(request, size);
    if (bytes === undefined) throw s3Error('IncompleteBody', 'The request body is longer than its declared length.');
    return { ...demands, bytes };
  }
  const raw = request.exchange.body();
  if (payload.kind === 'framed') return { ...demands, stream: payload.decode(raw) };
  return { ...demands, stream: raw, release: freePiece };
}

async function digest(hashing: Hashing, algorithm: HashAlgorithm, bytes: Uint8Array): Promise<Buffer> {
  const small = bytes.length <= SMALL_BODY_BYTES;
  const value = small ? hashing.hash(algorithm, bytes) : await hashing.hashAsync(algorithm, bytes);
  return Buffer.from(value.buffer, value.byteOffset, value.length);
}

async function verify(
  request: BodyRequest,
  bytes: Uint8Array,
  hashing: Hashing,
  checksum: RequestedChecksum | undefined,
): Promise<void> {
  const { payload } = request.authenticated;
  if (payload.kind === 'sha256' && (await digest(hashing, 'sha256', bytes)).toString('hex') !== payload.hex) {
    throw s3Error('XAmzContentSHA256Mismatch');
  }
  const md5 = contentMd5(request);
  if (md5 !== undefined && (await digest(hashing, 'md5', bytes)).toString('base64') !== md5) throw s3Error('BadDigest');
  if (checksum === undefined) return;
  const one = CHECKSUMS.find((candidate) => candidate.algorithm === checksum.algorithm);
  const expected = checksum.expected ?? checksum.trailer?.();
  if (one === undefined || (await digest(hashing, one.hash, bytes)).toString('base64') !== expected) {
    throw s3Error('BadDigest', `The ${checksum.algorithm} you specified did not match the calculated checksum.`);
  }
}

/** See S3Request.text. */
export async function bodyText(
  request: BodyRequest,
  limitBytes: number,
  hashing: Hashing,
  { checksumsOfObject = false }: TextOptions,
): Promise<string> {
  const tooLong = () =>
    s3Error('MaxMessageLengthExceeded', undefined, { fields: { MaxMessageLengthBytes: String(limitBytes) } });
  if ((request.contentLength ?? 0) > limitBytes) throw tooLong();
  const bytes = await whole(request, limitBytes);
  if (bytes === undefined) throw tooLong();
  await verify(request, bytes, hashing, checksumsOfObject ? undefined : requestedChecksum(request));
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw s3Error('InvalidRequest', 'The request body is not valid UTF-8.', { cause: error });
  }
}
