/** Names that a file system would trip over, and upload ids that belong elsewhere. */
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { BUCKET, BadInputRig } from './support.ts';

let rig: BadInputRig;
before(async () => {
  rig = await BadInputRig.start();
});
after(() => rig[Symbol.asyncDispose]());

/** In the names that a file system would take. */
const TOKEN = 'named-by-a-client';
const KEYS: Readonly<Record<string, string>> = {
  'one dot': '.',
  'two dots': '..',
  'a way out': `../${TOKEN}`,
  'a long way out': '../../../../../../etc/passwd',
  'a name': TOKEN,
  'a name below a directory': `${TOKEN}/${TOKEN}`,
  'dots inside': 'a/../../b/./c',
  'an absolute path': '/etc/passwd',
  'a NUL': 'a\0b',
  'a NUL alone': '\0',
  'a NUL at the end, beside the key without': 'a\0',
  'line breaks and controls': '\r\n\u0001\u007f',
  'one slash': '/',
  'slashes only': '///',
  'a slash at the end': 'dir/',
  backslashes: '..\\..\\x',
  'what looks encoded': '%2e%2e%2f%00',
  '1,024 bytes of UTF-8': '日'.repeat(341) + 'x',
  'a file of the site': 'site.json',
  'all of Unicode’s edges': '\u{10ffff}\ufffd\u200f',
};

describe('keys', () => {
  test('come back byte for byte, each its own object, and none is a path', async () => {
    for (const [what, key] of Object.entries(KEYS)) {
      const answer = await rig.put(key, Buffer.from(what));
      assert.equal(answer.status, 200, `${what}: ${answer.code}`);
    }
    for (const [what, key] of Object.entries(KEYS)) assert.equal((await rig.get(key)).body.toString(), what);
    const listed = await rig.call({ path: `/${BUCKET}`, query: { 'list-type': '2', 'encoding-type': 'url' } });
    const names = [...listed.body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = '']) =>
      decodeURIComponent(key.replaceAll('+', ' ')),
    );
    assert.deepEqual(
      names,
      Object.values(KEYS).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
    const named = globSync('**', { cwd: join(rig.dataDir, '..') }).filter((path) => path.includes(TOKEN));
    assert.deepEqual(named, [], 'no file is named by a client');
    for (const key of Object.values(KEYS)) {
      assert.equal((await rig.call({ method: 'DELETE', path: `/${BUCKET}/${key}` })).status, 204);
      assert.equal((await rig.get(key)).code, 'NoSuchKey');
    }
  });

  test('of 1,025 bytes are too long', async () => {
    for (const key of ['x'.repeat(1025), '日'.repeat(342)]) {
      const answer = await rig.put(key, Buffer.from('x'));
      assert.deepEqual([answer.status, answer.code, answer.field('MaxSizeAllowed')], [400, 'KeyTooLongError', '1024']);
    }
  });

  test('an empty key is the bucket', async () => {
    const answer = await rig.put('', Buffer.from('x'));
    assert.deepEqual([answer.status, answer.code], [400, 'MalformedXML'], 'a bucket is created with XML or nothing');
    assert.equal((await rig.put('', Buffer.alloc(0))).code, 'BucketAlreadyOwnedByYou');
  });

  test('that are no UTF-8 are refused', async () => {
    const signed = rig.sign({ method: 'PUT', path: `/${BUCKET}/k`, payloadHash: 'UNSIGNED-PAYLOAD' });
    const answer = await rig.send({ ...signed, rawPath: `/${BUCKET}/%ff%fe` }, Buffer.from('x'));
    assert.deepEqual([answer.status, answer.code], [400, 'InvalidURI']);
  });
});

describe('upload ids', () => {
  const created = async (bucket: string, key: string): Promise<string> => {
    const answer = await rig.call({ method: 'POST', path: `/${bucket}/${key}`, query: { uploads: '' } });
    return /<UploadId>([^<]+)/.exec(answer.body.toString())?.[1] ?? assert.fail(answer.body.toString());
  };
  const complete = Buffer.from(
    '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>',
  );

  test('of another bucket, another key, another site or nobody open nothing', async () => {
    assert.equal((await rig.call({ method: 'PUT', path: '/other' })).status, 200);
    const uploadId = await created(BUCKET, 'mine');
    const strange: readonly (readonly [path: string, uploadId: string])[] = [
      ['/other/mine', uploadId],
      [`/${BUCKET}/another`, uploadId],
      [`/${BUCKET}/mine`, uploadId.replace(/\.[^.]+\./, '.elsewhere.')],
      [`/${BUCKET}/mine`, '../../uploads'],
      [`/${BUCKET}/mine`, 'x'.repeat(5000)],
      [`/${BUCKET}/mine`, '\0'],
    ];
    for (const [path, id] of strange) {
      const query = { uploadId: id };
      const answers = [
        await rig.call({ method: 'PUT', path, query: { ...query, partNumber: '1' }, body: Buffer.from('x') }),
        await rig.call({ method: 'GET', path, query }),
        await rig.call({ method: 'POST', path, query, body: complete }),
        await rig.call({ method: 'DELETE', path, query }),
      ];
      for (const { status, code } of answers) assert.deepEqual([status, code], [404, 'NoSuchUpload'], `${path} ${id}`);
    }
    const part = await rig.call({
      method: 'PUT',
      path: `/${BUCKET}/mine`,
      query: { uploadId, partNumber: '1' },
      body: Buffer.from('still good'),
    });
    assert.equal(part.status, 200);
    const done = Buffer.from(complete.toString().replace('>x<', `>${part.headers.etag ?? ''}<`));
    const query = { uploadId };
    assert.equal((await rig.call({ method: 'POST', path: `/${BUCKET}/mine`, query, body: done })).status, 200);
    assert.equal((await rig.get('mine')).body.toString(), 'still good');
  });
});
