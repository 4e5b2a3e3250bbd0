/** Bytes that are not to be had: told by a status as long as nothing was sent (rule 13). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { SkerryError, type OpenObject } from '../../../core/contracts/index.ts';
import { brokenObject, RawClient, startRig, type Rig } from './fixtures/gateway-rig.ts';

const get = (range: string): string =>
  `GET /photos/k HTTP/1.1\r\nHost: 127.0.0.1\r\n${range === '' ? '' : `Range: bytes=${range}\r\n`}\r\n`;

/** Nothing of it is here from byte `from` on; how many reads were begun and not ended. */
function lacking(from: number): { readonly object: OpenObject; readonly reading: () => number } {
  let reading = 0;
  const object: OpenObject = {
    ...brokenObject(),
    async *read(start) {
      reading++;
      try {
        if (start >= from) throw new SkerryError('Unavailable', 'not here', { details: { retryAfterMs: 5000 } });
        yield new Uint8Array(10);
      } finally {
        reading--;
      }
    },
  };
  return { object, reading: () => reading };
}

const withObject = (object: OpenObject): Promise<Rig> => startRig({ objects: { openObject: async () => object } });

describe('a GET of bytes that no site within reach has', () => {
  for (const [what, range] of [
    ['whole', ''],
    ['one range', '100-109'],
    ['several ranges', '100-109,200-209'],
  ] as const)
    test(`is 503 with Retry-After, and the connection stays (${what})`, async () => {
      const { object, reading } = lacking(0);
      await using rig = await withObject(object);
      using client = new RawClient(rig.port);
      client.send(get(range));
      await client.until(/<Code>ServiceUnavailable<\/Code>/);
      assert.match(client.text, /^HTTP\/1\.1 503 /);
      assert.match(client.text, /retry-after: 5\r\n/i);
      assert.equal(reading(), 0);
    });

  test('behind a range that was sent breaks the connection', async () => {
    const { object, reading } = lacking(100);
    await using rig = await withObject(object);
    using client = new RawClient(rig.port);
    client.send(get('0-9,200-209'));
    await client.closed;
    assert.match(client.text, /^HTTP\/1\.1 206 /);
    assert.doesNotMatch(client.text, /bytes 200-209/, 'no head of a range without its bytes');
    assert.equal(reading(), 0);
  });

  test('several ranges that are here come as they were asked for', async () => {
    const { object, reading } = lacking(1000);
    await using rig = await withObject(object);
    using client = new RawClient(rig.port);
    client.send(get('0-9,200-209'));
    await client.until(/--\r\n$/);
    assert.match(client.text, /^HTTP\/1\.1 206 /);
    const ranges = [...client.text.matchAll(/Content-Range: (bytes [0-9-]+\/300000)\r\n\r\n\0{10}\r\n/g)];
    assert.deepEqual(
      ranges.map(([, range]) => range),
      ['bytes 0-9/300000', 'bytes 200-209/300000'],
    );
    const [, length] = /content-length: (\d+)\r\n/i.exec(client.text) ?? [];
    assert.equal(client.text.length - client.text.indexOf('\r\n\r\n') - 4, Number(length));
    assert.equal(reading(), 0);
  });
});
