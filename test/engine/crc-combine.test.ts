import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import { isSkerryError } from '../../core/contracts/index.ts';
import { hashOf } from '../../core/engine/checksums.ts';
import { combineCrcs, isCombinable } from '../../core/engine/crc-combine.ts';
import { createNodeHashing } from '../../core/kernel/runtime/hashing.ts';

const { hashing, close } = createNodeHashing();
after(close);

for (const algorithm of ['CRC32', 'CRC32C', 'CRC64NVME'] as const) {
  test(`${algorithm} of the whole follows from the parts`, () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 8 }), (parts) => {
        const hash = (bytes: Uint8Array): Uint8Array => hashing.hash(hashOf(algorithm), bytes);
        const combined = combineCrcs(
          algorithm,
          parts.map((bytes) => ({ digest: hash(bytes), size: bytes.length })),
        );
        assert.deepEqual(Buffer.from(combined), Buffer.from(hash(Buffer.concat(parts))));
      }),
      { seed: 8, numRuns: 200 },
    );
  });
}

test('a size of terabytes is no more work', () => {
  const digest = Buffer.from('0123456789abcdef', 'hex');
  assert.equal(
    combineCrcs('CRC64NVME', [
      { digest, size: 5 * 1024 ** 4 },
      { digest, size: 5 * 1024 ** 4 },
    ]).length,
    8,
  );
});

test('others do not combine', () => {
  for (const algorithm of ['SHA1', 'SHA256', 'MD5'] as const) {
    assert.equal(isCombinable(algorithm), false);
    assert.throws(
      () => combineCrcs(algorithm, []),
      (error) => isSkerryError(error, 'InvalidArgument'),
    );
  }
});
