/** Virtual-host requests on a whole site: the bucket that the Host names is the one that a version 2 signature covers. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';

import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';

import { childText, parseXml } from '../../../plugins/gateway-s3/xml.ts';
import { startSite, type SiteRig } from './fixtures/site-rig.ts';

let rig: SiteRig;
before(async () => {
  rig = await startSite({ domains: ['s3.test'] });
  for (const Bucket of ['photos', 'films']) {
    await rig.s3.send(new CreateBucketCommand({ Bucket }));
    await rig.s3.send(new PutObjectCommand({ Bucket, Key: 'a b/1', Body: `one of ${Bucket}` }));
  }
});
after(() => rig[Symbol.asyncDispose]());

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

async function get(host: string, path: string): Promise<Answer> {
  const request = httpRequest({ port: rig.port, host: '127.0.0.1', path, headers: { host }, agent: false });
  request.end();
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  return { status: answer.statusCode, body: await text(answer) };
}

/** Query of a presigned GET, signature version 2. */
function presignedV2(resource: string): string {
  const expires = Math.floor(Date.now() / 1000) + 600;
  const signature = createHmac('sha1', 'rootsecret').update(`GET\n\n\n${expires}\n${resource}`).digest('base64');
  return `AWSAccessKeyId=ROOTKEY&Expires=${expires}&Signature=${encodeURIComponent(signature)}`;
}

test('a version 2 signature opens the bucket of its host', async () => {
  const query = presignedV2('/photos/a%20b/1');
  assert.deepEqual(await get('photos.s3.test', `/a%20b/1?${query}`), { status: 200, body: 'one of photos' });
  assert.deepEqual(await get('127.0.0.1', `/photos/a%20b/1?${query}`), { status: 200, body: 'one of photos' });
});

test('and no other, and the refusal says what should have been signed', async () => {
  const query = presignedV2('/photos/a%20b/1');
  for (const [host, path] of [
    ['films.s3.test', '/a%20b/1'],
    ['127.0.0.1', '/films/a%20b/1'],
    ['s3.test', '/a%20b/1'],
  ] as const) {
    const { status, body } = await get(host, `${path}?${query}`);
    const error = parseXml(body);
    assert.deepEqual([status, childText(error, 'Code')], [403, 'SignatureDoesNotMatch'], host);
    assert.match(childText(error, 'StringToSign') ?? '', /^GET\n\n\n\d+\n\//, host);
    assert.equal(childText(error, 'AWSAccessKeyId'), 'ROOTKEY', host);
    assert.doesNotMatch(body, /rootsecret/);
  }
});
