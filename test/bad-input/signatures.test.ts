/** Requests that were not signed by who they say, or not now, or not like this. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import type { AuthRequest } from '../../core/contracts/index.ts';
import { presign } from '../../harness/conformance/auth/signer.ts';
import { BUCKET, BadInputRig, ROOT } from './support.ts';

const BODY = Buffer.from('the body that was there before');
const MINUTE_MS = 60_000;
let rig: BadInputRig;

before(async () => {
  rig = await BadInputRig.start();
  assert.equal((await rig.put('kept', BODY)).status, 200);
});
after(() => rig[Symbol.asyncDispose]());

const putOf = (body: Buffer) => ({ method: 'PUT', path: `/${BUCKET}/kept`, body });
const overwrite = putOf(Buffer.from('overwritten'));
const keptIsKept = async (): Promise<void> => assert.deepEqual((await rig.get('kept')).body, BODY);

describe('signatures', () => {
  test('of a wrong secret', async () => {
    const answer = await rig.call(overwrite, { who: { ...ROOT, secretKey: `${ROOT.secretKey}x` } });
    assert.deepEqual([answer.status, answer.code], [403, 'SignatureDoesNotMatch']);
    assert.match(answer.field('StringToSign') ?? '', /^AWS4-HMAC-SHA256\n/);
    assert.match(answer.field('CanonicalRequest') ?? '', /^PUT\n\/photos\/kept\n/);
    assert.doesNotMatch(answer.body.toString(), new RegExp(ROOT.secretKey));
    await keptIsKept();
  });

  test('of nobody that is known', async () => {
    const answer = await rig.call(overwrite, { who: { ...ROOT, accessKeyId: 'NOBODY' } });
    assert.deepEqual([answer.status, answer.code], [403, 'InvalidAccessKeyId']);
    assert.equal(answer.field('AWSAccessKeyId'), 'NOBODY');
  });

  const changes: Readonly<Record<string, (signed: AuthRequest) => AuthRequest>> = {
    path: (signed) => ({ ...signed, rawPath: `${signed.rawPath}2` }),
    query: (signed) => ({ ...signed, rawQuery: 'tagging=' }),
    method: (signed) => ({ ...signed, method: 'DELETE' }),
    host: (signed) => ({ ...signed, headers: { ...signed.headers, host: ['elsewhere'] } }),
  };
  for (const [what, change] of Object.entries(changes)) {
    test(`of another ${what}`, async () => {
      const answer = await rig.send(change(rig.sign(overwrite)), overwrite.body);
      assert.deepEqual([answer.status, answer.code], [403, 'SignatureDoesNotMatch']);
      await keptIsKept();
    });
  }

  test('of another body, small and large', async () => {
    for (const size of [11, 300_000]) {
      const signed = rig.sign(putOf(Buffer.alloc(size, 'a')));
      const answer = await rig.send(signed, Buffer.alloc(size, 'b'));
      assert.deepEqual([answer.status, answer.code], [400, 'XAmzContentSHA256Mismatch']);
      await keptIsKept();
    }
  });

  test('none at all', async () => {
    const { headers, ...signed } = rig.sign(overwrite);
    const { authorization: _, ...unsigned } = headers;
    const answer = await rig.send({ ...signed, headers: unsigned }, overwrite.body);
    assert.deepEqual([answer.status, answer.code], [403, 'AccessDenied']);
    await keptIsKept();
  });

  test('that are no signatures', async () => {
    for (const authorization of [
      'AWS4-HMAC-SHA256 ',
      'AWS4-HMAC-SHA256 Credential=a,SignedHeaders=,Signature=',
      'Basic eA==',
      '\u00ff',
    ]) {
      const signed = rig.sign(overwrite);
      const answer = await rig.send({ ...signed, headers: { ...signed.headers, authorization: [authorization] } });
      assert.ok(answer.status === 400 || answer.status === 403, `${authorization}: ${answer.status}`);
      assert.notEqual(answer.code, '');
    }
    await keptIsKept();
  });
});

describe('clocks', () => {
  for (const minutes of [-16, 16]) {
    test(`that are ${minutes} minutes off`, async () => {
      const answer = await rig.call(overwrite, { timeMs: Date.now() + minutes * MINUTE_MS });
      assert.deepEqual([answer.status, answer.code], [403, 'RequestTimeTooSkewed']);
      assert.ok(Math.abs(Date.parse(answer.field('ServerTime') ?? '') - Date.now()) < MINUTE_MS);
      await keptIsKept();
    });
  }

  test('that are 14 minutes off are good enough', async () => {
    assert.equal((await rig.call({ path: `/${BUCKET}/kept` }, { timeMs: Date.now() - 14 * MINUTE_MS })).status, 200);
  });

  test('presigned requests end', async () => {
    const plain = { path: `/${BUCKET}/kept`, headers: { host: `127.0.0.1:${rig.port}` } };
    const asked = (ageMs: number) =>
      rig.send(presign(plain, { who: ROOT, timeMs: Date.now() - ageMs, expiresS: 60 }).request);
    assert.equal((await asked(0)).status, 200);
    const late = await asked(2 * MINUTE_MS);
    assert.deepEqual([late.status, late.code, late.field('Message')], [403, 'AccessDenied', 'Request has expired']);
  });
});
