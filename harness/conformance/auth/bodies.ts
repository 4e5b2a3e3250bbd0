/** Framed bodies: every byte, every length and every signature counts, however the input is cut. Needs `supports.framedPayloads`. */
import assert from 'node:assert/strict';

import * as fc from 'fast-check';

import type { AuthRequest } from '../../../core/contracts/index.ts';
import { accepts, bodyRefusal, cut, decode, type AuthKit } from './kit.ts';
import { frame, signHeader, type Framing, type SignedRequest, type SigningOptions } from './signer.ts';
import { EXAMPLE_TIME_MS, WHO } from './world.ts';

const SIGNING: SigningOptions = { who: WHO.owner, timeMs: EXAMPLE_TIME_MS };
const TRAILER = 'x-amz-checksum-crc32';
const TRAILERS = { [TRAILER]: 'AAAAAA==' };

interface Mode {
  readonly name: string;
  readonly signed: boolean;
  readonly trailers: boolean;
}
const MODES: readonly Mode[] = [
  { name: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', signed: true, trailers: false },
  { name: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', signed: true, trailers: true },
  { name: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', signed: false, trailers: true },
];

/** A PUT that declares a framed body of `length` bytes. */
function put({ name, trailers }: Mode, length: number): SignedRequest {
  const announced = trailers ? { 'x-amz-trailer': TRAILER } : {};
  const headers = { 'x-amz-decoded-content-length': String(length), ...announced };
  return signHeader({ method: 'PUT', headers, payloadHash: name }, SIGNING);
}

interface Upload {
  readonly request: AuthRequest;
  readonly body: Buffer;
  readonly content: Buffer;
}

function upload(mode: Mode, chunks: readonly Uint8Array[], more: Partial<Framing> = {}): Upload {
  const content = Buffer.concat(chunks);
  const { request, seed } = put(mode, content.length);
  const signing = mode.signed ? { seed } : {};
  const trailing = mode.trailers ? { trailers: TRAILERS } : {};
  return { request, content, body: frame({ chunks, ...signing, ...trailing, ...more }) };
}

const chunkLists = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 4 });
const places = fc.array(fc.nat(), { maxLength: 12 });
const CHUNKS = [Buffer.from('hello '), Buffer.from('framed '), Buffer.from('world')];

export function bodyTests(kit: AuthKit): void {
  for (const mode of MODES) {
    decodingTests(kit, mode);
    if (kit.supports.signatures && mode.signed) tamperingTests(kit, mode);
  }
  trailerTests(kit);
  garbageTests(kit);
}

function decodingTests({ forAll, withAuth }: AuthKit, mode: Mode): void {
  forAll(
    `${mode.name} decodes to the same bytes however it is cut`,
    fc.tuple(chunkLists, places),
    async (auth, [chunks, at]) => {
      const { request, body, content } = upload(mode, chunks);
      const { bytes, trailers } = await decode(auth, request, cut(body, at));
      assert.deepEqual(bytes, content);
      assert.deepEqual({ ...trailers }, mode.trailers ? TRAILERS : {});
    },
  );
  withAuth(`${mode.name} decodes byte by byte`, async (auth) => {
    const { request, body, content } = upload(mode, CHUNKS);
    const everywhere = Array.from({ length: body.length }, (_, at) => at);
    assert.deepEqual((await decode(auth, request, cut(body, everywhere))).bytes, content);
  });
  forAll(`${mode.name} that ends early is refused`, fc.nat(), async (auth, draw) => {
    const { request, body } = upload(mode, CHUNKS);
    const short = body.subarray(0, draw % (body.length - 4));
    await bodyRefusal(auth, request, cut(short, []));
  });
  withAuth(`${mode.name} tells the decoded length`, async (auth) => {
    const { payload } = await accepts(auth, put(mode, 18).request);
    assert.equal(payload.kind === 'framed' ? payload.decodedLength : undefined, 18);
  });
  for (const length of [17, 19]) {
    withAuth(`${mode.name} with 18 bytes of ${length} announced is IncompleteBody`, async (auth) => {
      const { request, seed } = put(mode, length);
      const signing = mode.signed ? { seed } : {};
      const trailing = mode.trailers ? { trailers: TRAILERS } : {};
      const error = await bodyRefusal(auth, request, cut(frame({ chunks: CHUNKS, ...signing, ...trailing }), []));
      assert.equal(error.code, 'IncompleteBody');
    });
  }
}

function tamperingTests({ forAll, withAuth }: AuthKit, mode: Mode): void {
  forAll(`a changed byte of content in ${mode.name} is refused`, fc.nat({ max: 17 }), async (auth, at) => {
    const { request, body, content } = upload(mode, [...CHUNKS]);
    const changed = Buffer.from(body);
    const chunk = CHUNKS.find((_, number) => at < Buffer.concat(CHUNKS.slice(0, number + 1)).length) ?? Buffer.alloc(0);
    const start = changed.indexOf(chunk) + (at - content.indexOf(chunk));
    changed[start] = (changed[start] ?? 0) ^ 1;
    const error = await bodyRefusal(auth, request, cut(changed, []));
    assert.equal(error.details['reason'], 'SignatureDoesNotMatch');
  });
  forAll(
    `a changed signature in ${mode.name} is refused`,
    fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 63 })),
    async (auth, [number, digit]) => {
      const { request, body } = upload(mode, CHUNKS);
      const at = [...body.toString('latin1').matchAll(/chunk-signature=/g)][number]?.index ?? 0;
      const changed = Buffer.from(body);
      const place = at + 'chunk-signature='.length + digit;
      changed[place] = changed[place] === 0x61 ? 0x62 : 0x61;
      const error = await bodyRefusal(auth, request, cut(changed, []));
      assert.equal(error.details['reason'], 'SignatureDoesNotMatch');
    },
  );
  withAuth(`chunks of ${mode.name} in another order are refused`, async (auth) => {
    const { request, seed } = put(mode, 6);
    const trailing = mode.trailers ? { trailers: TRAILERS } : {};
    const body = frame({ chunks: [Buffer.from('abc'), Buffer.from('def')], seed, ...trailing }).toString('latin1');
    const [first = '', second = '', ...rest] = body.split(/(?<=abc\r\n|def\r\n)/);
    await bodyRefusal(auth, request, cut(Buffer.from([second, first, ...rest].join('')), []));
  });
  withAuth(`unsigned chunks under ${mode.name} are refused`, async (auth) => {
    const { request } = put(mode, 18);
    const trailing = mode.trailers ? { trailers: TRAILERS } : {};
    await bodyRefusal(auth, request, cut(frame({ chunks: CHUNKS, ...trailing }), []));
  });
  withAuth(`chunks of ${mode.name} signed for another request are refused`, async (auth) => {
    const { request } = put(mode, 18);
    const { body } = upload({ ...mode }, CHUNKS, { seed: { ...put(mode, 19).seed } });
    await bodyRefusal(auth, request, cut(body, []));
  });
}

function trailerTests({ withAuth, supports }: AuthKit): void {
  const mode: Mode = { name: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', signed: false, trailers: true };
  const signedMode: Mode = { ...mode, name: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', signed: true };
  const wrong: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'that was not announced': { ...TRAILERS, 'x-amz-checksum-sha1': 'AAAA' },
    'other than the one announced': { 'x-amz-checksum-sha1': 'AAAA' },
  };
  for (const [what, trailers] of Object.entries(wrong)) {
    withAuth(`a trailer ${what} is refused`, async (auth) => {
      const { request, body } = upload(mode, CHUNKS, { trailers });
      const error = await bodyRefusal(auth, request, cut(body, []));
      assert.equal(error.details['reason'], 'MalformedTrailerError');
    });
  }
  withAuth('an announced trailer that does not come is refused', async (auth) => {
    const { request, body } = upload(mode, CHUNKS, { trailers: {} });
    await bodyRefusal(auth, request, cut(body, []));
  });
  if (!supports.signatures) return;
  withAuth('a changed trailer under a trailer signature is refused', async (auth) => {
    const { request, body } = upload(signedMode, CHUNKS);
    const changed = Buffer.from(body.toString('latin1').replace('AAAAAA==', 'BAAAAA=='));
    const error = await bodyRefusal(auth, request, cut(changed, []));
    assert.equal(error.details['reason'], 'SignatureDoesNotMatch');
  });
  withAuth('a trailer without its signature is refused', async (auth) => {
    const { request, body } = upload(signedMode, CHUNKS);
    const bare = body.toString('latin1').replace(/x-amz-trailer-signature:.*\r\n/, '');
    await bodyRefusal(auth, request, cut(Buffer.from(bare), []));
  });
}

function garbageTests({ withAuth, forAll }: AuthKit): void {
  for (const mode of MODES) {
    forAll(
      `garbage under ${mode.name} ends in a coded error`,
      fc.tuple(fc.uint8Array({ maxLength: 200 }), places),
      async (auth, [body, at]) => {
        await bodyRefusal(auth, put(mode, 18).request, cut(body, at));
      },
    );
    withAuth(`an endless line under ${mode.name} is refused soon`, async (auth) => {
      let sentBytes = 0;
      const endless = async function* (): AsyncGenerator<Uint8Array, void> {
        while (sentBytes < 10_000_000) {
          sentBytes += 1024;
          yield Buffer.alloc(1024, 0x61);
        }
      };
      await bodyRefusal(auth, put(mode, 18).request, endless());
      assert.ok(sentBytes <= 1_000_000, `took ${sentBytes} bytes to refuse a line without an end`);
    });
    withAuth(`bytes behind the end under ${mode.name} are refused`, async (auth) => {
      const { request, body } = upload(mode, CHUNKS);
      await bodyRefusal(auth, request, cut(Buffer.concat([body, Buffer.from('0\r\n\r\nmore')]), []));
    });
  }
}
