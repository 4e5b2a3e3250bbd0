import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { SkerryError, type BucketInfo, type ObjectService } from '../../../core/contracts/index.ts';
import {
  createBucket,
  deleteBucket,
  getBucketLocation,
  headBucket,
} from '../../../plugins/gateway-s3/operations/bucket.ts';
import { listBuckets } from '../../../plugins/gateway-s3/operations/service.ts';
import { childText, children, type XmlNode } from '../../../plugins/gateway-s3/xml.ts';
import { bucketInfo, run, runXml, s3Code, type RequestInit } from './fixtures/operation-rig.ts';

type Created = Parameters<ObjectService['createBucket']>[0];

async function created(request: RequestInit, region = 'us-east-1'): Promise<Created> {
  let input: Created | undefined;
  const create: ObjectService['createBucket'] = async (given) => {
    input = given;
    return bucketInfo();
  };
  const answer = await run(createBucket, request, { region, objects: { createBucket: create } });
  assert.equal(answer.headers['location'], `/${request.bucketName ?? 'photos'}`);
  assert.ok(input);
  return input;
}
const located = (location: string): string =>
  `<CreateBucketConfiguration><LocationConstraint>${location}</LocationConstraint></CreateBucketConfiguration>`;

describe('CreateBucket', () => {
  test('is owned by who asks, with lock, ownership and tags', async () => {
    const tags = '<Tags><Tag><Key>team</Key><Value>blue</Value></Tag></Tags>';
    const headers = {
      'x-amz-acl': 'private',
      'x-amz-bucket-object-lock-enabled': 'True',
      'x-amz-object-ownership': 'BucketOwnerEnforced',
    };
    const body = `<CreateBucketConfiguration>${tags}</CreateBucketConfiguration>`;
    assert.deepEqual(await created({ headers, body }), {
      bucket: 'photos',
      owner: 'alice-id',
      objectLock: true,
      settings: { ownership: 'BucketOwnerEnforced', tagging: { team: 'blue' }, versioning: 'Enabled' },
    });
    assert.deepEqual(await created({}), { bucket: 'photos', owner: 'alice-id', settings: {} });
  });

  test('takes this site’s region and no other', async () => {
    await created({ body: located('us-east-1') });
    await created({ body: located('') });
    await created({ body: located('eu-west-1') }, 'eu-west-1');
    await created({ body: located('EU') }, 'eu-west-1');
    for (const [location, region] of [
      ['eu-west-1', 'us-east-1'],
      ['EU', 'us-east-1'],
      ['us-east-1', 'eu-west-1'],
    ] as const) {
      await assert.rejects(created({ body: located(location) }, region), s3Code('InvalidLocationConstraint'));
    }
  });

  const refused: Readonly<Record<string, readonly [request: RequestInit, code: string]>> = {
    'a bad name': [{ bucketName: 'No_Good' }, 'InvalidBucketName'],
    'broken XML': [{ body: '<CreateBucketConfiguration>' }, 'MalformedXML'],
    'another root': [{ body: '<Configuration/>' }, 'MalformedXML'],
    'a directory bucket': [
      { body: '<CreateBucketConfiguration><Bucket/></CreateBucketConfiguration>' },
      'NotImplemented',
    ],
    'a public ACL': [{ headers: { 'x-amz-acl': 'public-read' } }, 'AccessControlListNotSupported'],
    'a lock flag that is neither': [{ headers: { 'x-amz-bucket-object-lock-enabled': 'on' } }, 'InvalidArgument'],
    'ACL ownership': [{ headers: { 'x-amz-object-ownership': 'ObjectWriter' } }, 'NotImplemented'],
  };
  for (const [what, [request, code]] of Object.entries(refused)) {
    test(`with ${what} is ${code}`, () => assert.rejects(created(request), s3Code(code)));
  }

  test('of one’s own bucket is 409, as rclone expects', async () => {
    const create = () => Promise.reject(new SkerryError('BucketAlreadyOwnedByYou', 'yours already'));
    await assert.rejects(
      run(createBucket, {}, { objects: { createBucket: create } }),
      s3Code('BucketAlreadyOwnedByYou'),
    );
  });
});

describe('HeadBucket, DeleteBucket, GetBucketLocation', () => {
  test('head tells the region', async () => {
    const answer = await run(headBucket, {}, { region: 'eu-west-1' });
    assert.deepEqual([answer.status, answer.headers['x-amz-bucket-region']], [200, 'eu-west-1']);
  });

  test('delete is 204', async () => {
    const deleted: string[] = [];
    const answer = await run(deleteBucket, {}, { objects: { deleteBucket: async (name) => void deleted.push(name) } });
    assert.deepEqual([answer.status, deleted], [204, ['photos']]);
  });

  test('the first region’s location is empty', async () => {
    assert.equal((await runXml(getBucketLocation, {})).text, '');
    assert.equal((await runXml(getBucketLocation, {}, { region: 'eu-west-1' })).text, 'eu-west-1');
  });
});

describe('ListBuckets', () => {
  const all: readonly BucketInfo[] = ['a1', 'a2', 'b1', 'b2', 'c1'].map((name) =>
    bucketInfo({ name: `${name}-bucket`, owner: name.startsWith('b') ? 'bob-id' : 'alice-id' }),
  );
  /** Small pages, so that the operation must walk them. */
  const list: ObjectService['listBuckets'] = async ({ prefix = '', after = '', limit }) => {
    const rows = all.filter(({ name }) => name.startsWith(prefix) && name > after);
    const entries = rows.slice(0, Math.min(limit, 2));
    const next = rows.length > entries.length ? entries.at(-1)?.name : undefined;
    return { entries, commonPrefixes: [], truncated: next !== undefined, ...(next === undefined ? {} : { next }) };
  };
  const mineOnly = { objects: { listBuckets: list }, allow: () => false };
  const names = (page: XmlNode): string[] =>
    children(children(page, 'Buckets')[0]!, 'Bucket').map((row) => childText(row, 'Name')?.slice(0, 2) ?? '');

  test('shows the caller’s buckets and those it may list', async () => {
    assert.deepEqual(names(await runXml(listBuckets, {}, mineOnly)), ['a1', 'a2', 'c1']);
    const some = {
      ...mineOnly,
      allow: ({ resource }: { readonly resource: string }) => resource.endsWith('b2-bucket'),
    };
    assert.deepEqual(names(await runXml(listBuckets, {}, some)), ['a1', 'a2', 'b2', 'c1']);
  });

  test('says who owns them, when and where they were made', async () => {
    const page = await runXml(listBuckets, {}, mineOnly);
    assert.equal(childText(children(page, 'Owner')[0]!, 'DisplayName'), 'Alice & Co');
    const row = children(children(page, 'Buckets')[0]!, 'Bucket')[0]!;
    assert.deepEqual(
      [childText(row, 'CreationDate'), childText(row, 'BucketRegion')],
      ['2024-01-02T03:04:05.000Z', 'us-east-1'],
    );
  });

  test('pages without loss, and has no token at the end', async () => {
    const seen: string[] = [];
    let token: string | undefined;
    do {
      const query = { 'max-buckets': '2', ...(token === undefined ? {} : { 'continuation-token': token }) };
      const page = await runXml(listBuckets, { query }, mineOnly);
      seen.push(...names(page));
      token = childText(page, 'ContinuationToken');
    } while (token !== undefined);
    assert.deepEqual(seen, ['a1', 'a2', 'c1']);
    const exact = await runXml(listBuckets, { query: { 'max-buckets': '3' } }, mineOnly);
    assert.equal(childText(exact, 'ContinuationToken'), undefined);
  });

  test('filters by prefix and region, and refuses limits that are none', async () => {
    assert.deepEqual(names(await runXml(listBuckets, { query: { prefix: 'c' } }, mineOnly)), ['c1']);
    assert.deepEqual(names(await runXml(listBuckets, { query: { 'bucket-region': 'eu-west-1' } }, mineOnly)), []);
    for (const bad of ['0', '10001', 'x']) {
      await assert.rejects(
        run(listBuckets, { query: { 'max-buckets': bad } }, mineOnly),
        s3Code('InvalidArgument'),
        bad,
      );
    }
  });
});
