import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUCKET, noise, wholeSite } from './whole-site.ts';

test('a bucket that did not change is the same object, so that what was compiled of its policy is found again', async () => {
  await using site = await wholeSite();
  const { objects } = site;
  const policy = { Statement: [{ Effect: 'Deny', Principal: '*', Action: 's3:*', Resource: 'arn:aws:s3:::bucket' }] };
  await objects.putBucketSetting(BUCKET, 'policy', policy);
  const { settings } = await objects.getBucket(BUCKET);
  const put = { bucket: BUCKET, key: 'k', body: { bytes: noise(10) }, owner: 'o', headers: {}, metadata: {} };
  await objects.putObject({ ...put, storageClass: 'S' });
  assert.equal((await objects.getBucket(BUCKET)).settings.policy, settings.policy);
  await objects.putBucketSetting(BUCKET, 'policy', { ...policy, Version: '2012-10-17' });
  const changed = (await objects.getBucket(BUCKET)).settings.policy;
  assert.notEqual(changed, settings.policy);
  assert.deepEqual(changed, { ...policy, Version: '2012-10-17' });
});
