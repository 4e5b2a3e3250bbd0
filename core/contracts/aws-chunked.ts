/**
 * The aws-chunked body framing, as every auth plugin needs it: an incremental state machine that gives the same bytes however the input
 * is cut, holds at most one line in memory, and ends in a coded error on anything else. Knows no cryptography: a verifier is told the
 * bytes and the signatures as they pass.
 *
 * Source: Amazon S3 API Reference, "Signature Calculations: Transferring Payload in Multiple Chunks" and "... Including Trailing Headers".
 */
import type { AuthRequest, PayloadCheck } from './auth.ts';
import { SkerryError } from './errors.ts';

/** Told of every frame in order. `endChunk` and `endTrailers` throw a SkerryError when the signature is not the right one. */
export interface FrameVerifier {
  /** Bytes of the running chunk. Must not keep or change them. */
  update(bytes: Uint8Array): void;
  /** The running chunk is complete; `signature` is 64 lower-case hex digits. Called for the last, empty chunk too. */
  endChunk(signature: string): void;
  /** All trailers in order, each as `name:value\n` (latin1). */
  endTrailers(canonical: string, signature: string): void;
}

export interface FramingOptions {
  /** Absent: chunk signatures, if any, are skipped. */
  readonly verifier?: FrameVerifier;
  /** Whether trailer headers may follow the last chunk. */
  readonly trailers: boolean;
  /** Lower-case names announced by `x-amz-trailer`; when not empty, exactly these must arrive. */
  readonly announced: readonly string[];
  /** `x-amz-decoded-content-length` in bytes, when sent. */
  readonly decodedLength: number | undefined;
}

/** Longest chunk-size line and longest trailer line, bytes. AWS needs 85 for a signed chunk. */
const MAX_LINE_BYTES = 4096;
const MAX_TRAILERS = 16;
/** CR and LF after the end; some clients close the trailers with one line end too many. */
const MAX_EPILOGUE_BYTES = 4;
const SIGNATURE_TRAILER = 'x-amz-trailer-signature';
/** 13 hex digits stay within the safe integers. */
const SIZE_LINE = /^([0-9a-fA-F]{1,13})(?:;([\x20-\x7e]*))?$/;
const CHUNK_SIGNATURE = /^chunk-signature=([0-9a-f]{64})$/;
const TRAILER_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\x20-\x7e\x80-\xff\t]*)$/;
const CR = 13;
const LF = 10;

type State = 'size' | 'data' | 'data-end' | 'trailers' | 'done' | 'failed';

export class FrameDecoder {
  readonly #options: FramingOptions;
  readonly #trailers = new Map<string, string>();
  #state: State = 'size';
  #line = '';
  #remaining = 0;
  #last = false;
  #signature = '';
  #decodedBytes = 0;
  #epilogueBytes = 0;
  #canonicalTrailers = '';
  #trailersVerified = false;

  constructor(options: FramingOptions) {
    this.#options = options;
  }

  /** Takes the next piece and gives the body bytes in it: views of `piece`, no copy. Throws on the first fault and ever after. */
  push(piece: Uint8Array): readonly Uint8Array[] {
    const out: Uint8Array[] = [];
    try {
      let at = 0;
      while (at < piece.length) at = this.#step(piece, at, out);
    } catch (error) {
      this.#state = 'failed';
      throw error;
    }
    return out;
  }

  /**
   * The input has ended. Throws `IncompleteBody` unless it ended where a body may end; that is also behind the last trailer, since some
   * clients leave out the empty line and nothing can have been lost there.
   */
  finish(): void {
    if (this.#state === 'trailers' && this.#line === '' && this.#trailersAreComplete()) this.#endTrailers();
    if (this.#state !== 'done') throw incomplete('the body ended in the middle of its aws-chunked framing');
  }

  /** Lower-case names; complete after `finish`. */
  trailers(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#trailers);
  }

  #step(piece: Uint8Array, at: number, out: Uint8Array[]): number {
    switch (this.#state) {
      case 'data':
        return this.#takeData(piece, at, out);
      case 'done':
        return this.#takeEpilogue(piece, at);
      case 'size':
      case 'data-end':
      case 'trailers':
        return this.#takeLine(piece, at);
      case 'failed':
        throw malformed('the body was already refused');
    }
  }

  #takeData(piece: Uint8Array, at: number, out: Uint8Array[]): number {
    const data = piece.subarray(at, Math.min(piece.length, at + this.#remaining));
    this.#options.verifier?.update(data);
    out.push(data);
    this.#remaining -= data.length;
    if (this.#remaining === 0) this.#state = 'data-end';
    return at + data.length;
  }

  #takeLine(piece: Uint8Array, at: number): number {
    const found = piece.indexOf(LF, at);
    const end = found === -1 ? piece.length : found;
    if (this.#line.length + (end - at) > MAX_LINE_BYTES)
      throw malformed('a line of the aws-chunked framing is too long');
    this.#line += latin1(piece.subarray(at, end));
    if (found === -1) return end;
    const line = this.#line;
    this.#line = '';
    if (this.#state === 'trailers') this.#endTrailerLine(line);
    else this.#endFrameLine(line);
    return end + 1;
  }

  #endFrameLine(line: string): void {
    if (!line.endsWith('\r')) throw malformed('a chunk line must end with CR LF');
    if (this.#state === 'size') this.#beginChunk(line.slice(0, -1));
    else if (line === '\r') this.#endData();
    else throw malformed('a chunk is longer than its size says');
  }

  #beginChunk(line: string): void {
    const match = SIZE_LINE.exec(line);
    if (match === null) throw malformed('a chunk must begin with its size in hexadecimal');
    const size = Number.parseInt(match[1] ?? '', 16);
    if (this.#options.verifier !== undefined) this.#signature = signatureOf(match[2] ?? '');
    this.#decodedBytes += size;
    const { decodedLength } = this.#options;
    if (decodedLength !== undefined && this.#decodedBytes > decodedLength) {
      throw incomplete('the chunks hold more bytes than x-amz-decoded-content-length says');
    }
    this.#remaining = size;
    this.#last = size === 0;
    if (this.#last) this.#endLastChunk();
    else this.#state = 'data';
  }

  #endData(): void {
    this.#options.verifier?.endChunk(this.#signature);
    this.#state = 'size';
  }

  #endLastChunk(): void {
    const { decodedLength, verifier } = this.#options;
    verifier?.endChunk(this.#signature);
    if (decodedLength !== undefined && this.#decodedBytes !== decodedLength) {
      throw incomplete('the chunks hold fewer bytes than x-amz-decoded-content-length says');
    }
    this.#state = 'trailers';
  }

  /**
   * Line ends are lenient here: AWS's own examples close a signed trailer with `\n\r\n` before the signature line, so an empty line ends
   * the trailers only once the signature (where there must be one) has come.
   */
  #endTrailerLine(raw: string): void {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line !== '') this.#addTrailer(line);
    else if (this.#trailersAreDue()) this.#skipEmptyLine();
    else this.#endTrailers();
  }

  #trailersAreDue(): boolean {
    const { verifier, trailers } = this.#options;
    return trailers && verifier !== undefined && !this.#trailersVerified;
  }

  #trailersAreComplete(): boolean {
    const { verifier, trailers, announced } = this.#options;
    if (!trailers) return false;
    if (verifier !== undefined) return this.#trailersVerified;
    return announced.length > 0 && announced.every((name) => this.#trailers.has(name));
  }

  #skipEmptyLine(): void {
    this.#epilogueBytes += 1;
    if (this.#epilogueBytes > MAX_EPILOGUE_BYTES) throw malformedTrailer(`${SIGNATURE_TRAILER} is missing`);
  }

  #addTrailer(line: string): void {
    const match = TRAILER_LINE.exec(line);
    if (!this.#options.trailers) throw malformed('bytes after the last chunk');
    if (match === null) throw malformedTrailer('a trailer must be name:value');
    const name = (match[1] ?? '').toLowerCase();
    const value = (match[2] ?? '').replace(/^[ \t]+|[ \t]+$/g, '');
    if (name === SIGNATURE_TRAILER) this.#endSignature(value);
    else this.#keepTrailer(name, value);
  }

  #keepTrailer(name: string, value: string): void {
    const { announced } = this.#options;
    if (this.#trailersVerified) throw malformedTrailer('a trailer after the trailer signature');
    if (this.#trailers.has(name)) throw malformedTrailer(`${name} came twice`);
    if (this.#trailers.size >= MAX_TRAILERS) throw malformedTrailer('too many trailers');
    if (announced.length > 0 && !announced.includes(name))
      throw malformedTrailer(`${name} was not announced by x-amz-trailer`);
    this.#trailers.set(name, value);
    this.#canonicalTrailers += `${name}:${value}\n`;
  }

  #endSignature(value: string): void {
    const { verifier } = this.#options;
    if (verifier === undefined) return;
    if (this.#trailersVerified) throw malformedTrailer(`${SIGNATURE_TRAILER} came twice`);
    if (!/^[0-9a-f]{64}$/.test(value)) throw malformedTrailer(`${SIGNATURE_TRAILER} must be 64 hexadecimal digits`);
    verifier.endTrailers(this.#canonicalTrailers, value);
    this.#trailersVerified = true;
  }

  #endTrailers(): void {
    const missing = this.#options.announced.find((name) => !this.#trailers.has(name));
    if (this.#options.trailers && missing !== undefined)
      throw malformedTrailer(`${missing} was announced and did not come`);
    this.#state = 'done';
    this.#epilogueBytes = 0;
  }

  #takeEpilogue(piece: Uint8Array, at: number): number {
    const byte = piece[at];
    this.#epilogueBytes += 1;
    if ((byte !== CR && byte !== LF) || this.#epilogueBytes > MAX_EPILOGUE_BYTES)
      throw malformed('bytes after the end of the body');
    return at + 1;
  }
}

/** Streams the decoded bytes of `body`. Ends only when the framing is complete and every signature was right. */
export async function* decodeFrames(
  body: AsyncIterable<Uint8Array>,
  decoder: FrameDecoder,
): AsyncGenerator<Uint8Array, void> {
  for await (const piece of body) yield* decoder.push(piece);
  decoder.finish();
}

/** The payload check of a framed request: reads `x-amz-decoded-content-length` and `x-amz-trailer`. */
export function framedPayload(
  headers: AuthRequest['headers'],
  framing: Pick<FramingOptions, 'trailers'> & { readonly verifier?: FrameVerifier },
): Extract<PayloadCheck, { kind: 'framed' }> {
  const declared = headers['x-amz-decoded-content-length']?.[0];
  if (declared !== undefined && !/^\d{1,15}$/.test(declared))
    throw malformed('x-amz-decoded-content-length must be a number of bytes');
  const decodedLength = declared === undefined ? undefined : Number(declared);
  const names = (headers['x-amz-trailer'] ?? []).flatMap((value) => value.toLowerCase().split(','));
  const announced = names.map((name) => name.trim()).filter((name) => name !== '' && name !== SIGNATURE_TRAILER);
  const decoder = new FrameDecoder({ ...framing, announced, decodedLength });
  return {
    kind: 'framed',
    decodedLength,
    decode: (body) => decodeFrames(body, decoder),
    trailers: () => decoder.trailers(),
  };
}

function signatureOf(extension: string): string {
  const signature = CHUNK_SIGNATURE.exec(extension)?.[1];
  if (signature === undefined) throw malformed('a signed chunk must carry chunk-signature=<64 hexadecimal digits>');
  return signature;
}

function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function malformed(message: string): SkerryError {
  return new SkerryError('InvalidArgument', message, { details: { reason: 'InvalidRequest' } });
}

function malformedTrailer(message: string): SkerryError {
  return new SkerryError('InvalidArgument', message, { details: { reason: 'MalformedTrailerError' } });
}

function incomplete(message: string): SkerryError {
  return new SkerryError('IncompleteBody', message, { details: { reason: 'IncompleteBody' } });
}
