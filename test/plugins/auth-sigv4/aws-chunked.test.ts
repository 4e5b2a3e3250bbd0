/** The aws-chunked decoder on its own: any splitting gives the same, garbage ends in a code, memory stays at a line. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as fc from 'fast-check';

import { FrameDecoder, isSkerryError, type FramingOptions } from '../../../core/contracts/index.ts';
import { frame } from '../../../harness/conformance/auth/signer.ts';

const PLAIN: FramingOptions = { trailers: true, announced: [], decodedLength: undefined };

interface Outcome {
  readonly bytes: string;
  readonly trailers: Readonly<Record<string, string>>;
  readonly error: string | undefined;
}

function run(pieces: readonly Uint8Array[], options: FramingOptions = PLAIN): Outcome {
  const decoder = new FrameDecoder(options);
  const out: Uint8Array[] = [];
  let error: string | undefined;
  try {
    for (const piece of pieces) out.push(...decoder.push(piece).map((part) => Uint8Array.from(part)));
    decoder.finish();
  } catch (thrown) {
    assert.ok(isSkerryError(thrown), `threw ${String(thrown)}`);
    error = `${thrown.code}: ${thrown.message}`;
  }
  return { bytes: Buffer.concat(out).toString('hex'), trailers: { ...decoder.trailers() }, error };
}

function split(bytes: Uint8Array, sizes: readonly number[]): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const size of sizes) {
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return [...pieces, bytes.subarray(at)];
}

const framed = fc
  .tuple(
    fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 5 }),
    fc.constantFrom(undefined, { 'x-a': 'b' }),
  )
  .map(([chunks, trailers]) => frame({ chunks, ...(trailers === undefined ? {} : { trailers }) }));
/** Mostly well framed, with a few bytes changed: garbage that gets far. */
const damaged = fc
  .tuple(framed, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 }))
  .map(([body, changes]) => {
    for (const [at, byte] of changes) body[at % body.length] = byte;
    return body;
  });
const text = (...lines: readonly string[]): Uint8Array => Buffer.from(lines.join(''), 'latin1');

describe('splitting', () => {
  for (const [what, bodies] of Object.entries({
    'a good body': framed,
    'a damaged body': damaged,
    garbage: fc.uint8Array(),
  })) {
    test(`does not change what ${what} decodes to`, () => {
      fc.assert(
        fc.property(bodies, fc.array(fc.nat({ max: 40 })), (body, sizes) => {
          const whole = run([body]);
          const parts = run(split(body, sizes));
          assert.equal(parts.error, whole.error);
          assert.deepEqual(parts.trailers, whole.trailers);
          // What came before a fault may differ by the piece that held it: push gives all of a piece or throws.
          if (whole.error === undefined) assert.equal(parts.bytes, whole.bytes);
        }),
        { seed: 1, numRuns: 500 },
      );
    });
  }
});

describe('refusals', () => {
  const cases: Readonly<Record<string, Uint8Array>> = {
    'no size': text('\r\n'),
    'a size that is no number': text('xyz\r\n'),
    'a negative size': text('-1\r\n'),
    'a size beyond the safe integers': text('fffffffffffffff\r\n'),
    'a size line without CR': text('3\nabc\r\n0\r\n\r\n'),
    'more content than the size': text('3\r\nabcd\r\n0\r\n\r\n'),
    'less content than the size': text('4\r\nabc\r\n0\r\n\r\n'),
    'a trailer without a colon': text('0\r\nx-a\r\n\r\n'),
    'a trailer with a space in its name': text('0\r\nx a:b\r\n\r\n'),
    'a trailer twice': text('0\r\nx-a:1\r\nx-a:2\r\n\r\n'),
    'seventeen trailers': text('0\r\n', ...Array.from({ length: 17 }, (_, at) => `x-${at}:1\r\n`), '\r\n'),
    'bytes behind the end': text('0\r\n\r\nx'),
    'line ends without end': text('0\r\n\r\n', '\r\n'.repeat(3)),
  };
  for (const [what, body] of Object.entries(cases)) {
    test(`${what} is refused`, () => {
      assert.notEqual(run([body]).error, undefined);
    });
  }

  test('a line without an end is refused within a few kilobytes', () => {
    const decoder = new FrameDecoder(PLAIN);
    assert.throws(
      () => Array.from({ length: 5 }, () => decoder.push(Buffer.alloc(1024, 0x30))),
      (error) => isSkerryError(error, 'InvalidArgument'),
    );
  });

  test('a decoder that has refused refuses for ever', () => {
    const decoder = new FrameDecoder(PLAIN);
    assert.throws(() => decoder.push(text('x\r\n')));
    assert.throws(() => decoder.push(text('0\r\n\r\n')));
    assert.throws(() => decoder.finish());
  });

  test('a trailer where none may come is refused', () => {
    assert.notEqual(run([text('0\r\nx-a:b\r\n\r\n')], { ...PLAIN, trailers: false }).error, undefined);
  });
});

describe('leniency that clients need', () => {
  const expected = { 'x-amz-checksum-crc32': 's3SFCQ==' };
  const options = { ...PLAIN, announced: ['x-amz-checksum-crc32'] };
  for (const ending of ['\r\n\r\n', '\n\r\n', '\n\r\n\r\n', '\r\n']) {
    test(`a trailer closed by ${JSON.stringify(ending)} is complete`, () => {
      const { error, trailers, bytes } = run([text('3\r\nabc\r\n0\r\nx-amz-checksum-crc32:s3SFCQ==', ending)], options);
      assert.equal(error, undefined);
      assert.deepEqual(trailers, expected);
      assert.equal(bytes, '616263');
    });
  }

  test('chunk extensions without a verifier are skipped', () => {
    assert.equal(run([text('3;chunk-signature=00;x=y\r\nabc\r\n0;z\r\n\r\n')]).bytes, '616263');
  });
});
