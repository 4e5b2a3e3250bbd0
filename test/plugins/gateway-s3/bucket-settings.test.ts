import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { SkerryError, type BucketInfo, type Json } from '../../../core/contracts/index.ts';
import * as inactive from '../../../plugins/gateway-s3/operations/bucket-inactive.ts';
import * as policies from '../../../plugins/gateway-s3/operations/bucket-policy.ts';
import * as settings from '../../../plugins/gateway-s3/operations/bucket-settings.ts';
import type { S3Operation } from '../../../plugins/gateway-s3/operation.ts';
import { isPublicPolicy } from '../../../plugins/gateway-s3/policy-status.ts';
import { effectivePolicy } from '../../../plugins/gateway-s3/public-access.ts';
import { childText, children } from '../../../plugins/gateway-s3/xml.ts';
import { bodyOf, bucketInfo, run, runXml, s3Code, type RequestInit } from './fixtures/operation-rig.ts';

type Written = readonly [bucket: string, name: string, value: Json];

/** Runs a PUT or DELETE and tells what it stored. */
async function stored(operation: S3Operation, request: RequestInit, validatePolicy?: () => void): Promise<Written[]> {
  const written: Written[] = [];
  const putBucketSetting = async (...given: Written) => void written.push(given);
  await run(operation, request, {
    objects: { putBucketSetting },
    ...(validatePolicy === undefined ? {} : { validatePolicy }),
  });
  return written;
}

const having = (values: BucketInfo['settings']): BucketInfo => bucketInfo({ settings: values });

describe('versioning', () => {
  const versioning = (content: string): string => `<VersioningConfiguration>${content}</VersioningConfiguration>`;

  test('is stored and shown; nothing is shown while it is off', async () => {
    const body = versioning('<Status>Enabled</Status>');
    assert.deepEqual(await stored(settings.putBucketVersioning, { body }), [['photos', 'versioning', 'Enabled']]);
    const on = await runXml(settings.getBucketVersioning, { bucket: bucketInfo({ versioning: 'Suspended' }) });
    assert.equal(childText(on, 'Status'), 'Suspended');
    assert.deepEqual((await runXml(settings.getBucketVersioning, {})).children, []);
  });

  const refused: Readonly<Record<string, readonly [content: string, code: string, bucket?: BucketInfo]>> = {
    'no status': ['', 'IllegalVersioningConfigurationException'],
    'another status': ['<Status>enabled</Status>', 'MalformedXML'],
    'MFA delete': ['<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>', 'NotImplemented'],
    'suspension under object lock': [
      '<Status>Suspended</Status>',
      'InvalidBucketState',
      bucketInfo({ objectLock: true }),
    ],
  };
  for (const [what, [content, code, bucket]] of Object.entries(refused)) {
    test(`with ${what} is ${code}`, () => {
      const request = { body: versioning(content), ...(bucket === undefined ? {} : { bucket }) };
      return assert.rejects(stored(settings.putBucketVersioning, request), s3Code(code));
    });
  }
});

describe('tagging', () => {
  const tag = (key: string, value: string): string => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`;
  const tagging = (tags: string): string => `<Tagging><TagSet>${tags}</TagSet></Tagging>`;

  test('is stored, shown in its order, and cleared once', async () => {
    const body = tagging(tag('b', '1') + tag('a', 'x y/z'));
    assert.deepEqual(await stored(settings.putBucketTagging, { body }), [
      ['photos', 'tagging', { b: '1', a: 'x y/z' }],
    ]);
    const bucket = having({ tagging: { b: '1', a: '' } });
    const shown = await runXml(settings.getBucketTagging, { bucket });
    assert.deepEqual(
      children(shown.children[0]!, 'Tag').map((row) => childText(row, 'Key')),
      ['b', 'a'],
    );
    assert.deepEqual(await stored(settings.deleteBucketTagging, { bucket }), [['photos', 'tagging', null]]);
    assert.deepEqual(await stored(settings.deleteBucketTagging, {}), []);
    await assert.rejects(run(settings.getBucketTagging, {}), s3Code('NoSuchTagSet'));
  });

  const many = Array.from({ length: 51 }, (_, index) => tag(`k${index}`, '')).join('');
  const refused: Readonly<Record<string, readonly [body: string, code: string]>> = {
    'the same key twice': [tagging(tag('a', '1') + tag('a', '2')), 'InvalidTag'],
    'a system key': [tagging(tag('aws:a', '1')), 'InvalidTag'],
    'an empty key': [tagging(tag('', '1')), 'InvalidTag'],
    'a long key': [tagging(tag('k'.repeat(129), '1')), 'InvalidTag'],
    'a long value': [tagging(tag('k', 'v'.repeat(257))), 'InvalidTag'],
    'a character that tags have not': [tagging(tag('k', 'a&amp;b')), 'InvalidTag'],
    'more than 50 tags': [tagging(many), 'BadRequest'],
    'no value': [tagging('<Tag><Key>a</Key></Tag>'), 'MalformedXML'],
    'no tag set': ['<Tagging/>', 'MalformedXML'],
    'an empty body': ['', 'MalformedXML'],
  };
  for (const [what, [body, code]] of Object.entries(refused)) {
    test(`with ${what} is ${code}`, () => assert.rejects(stored(settings.putBucketTagging, { body }), s3Code(code)));
  }
});

describe('CORS, ownership and ACL', () => {
  test('CORS is stored and shown', async () => {
    const rule = '<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>';
    const body = `<CORSConfiguration>${rule}</CORSConfiguration>`;
    const [written] = await stored(settings.putBucketCors, { body });
    const cors = [{ origins: ['*'], methods: ['GET'], headers: [], exposeHeaders: [] }];
    assert.deepEqual(written, ['photos', 'cors', cors]);
    assert.ok(bodyOf(await run(settings.getBucketCors, { bucket: having({ cors }) })).includes(rule));
    await assert.rejects(run(settings.getBucketCors, {}), s3Code('NoSuchCORSConfiguration'));
  });

  test('ownership: the enforced one is kept, those that turn ACLs on are not', async () => {
    const controls = (name: string): string =>
      `<OwnershipControls><Rule><ObjectOwnership>${name}</ObjectOwnership></Rule></OwnershipControls>`;
    const put = (name: string) => stored(settings.putBucketOwnershipControls, { body: controls(name) });
    assert.deepEqual(await put('BucketOwnerEnforced'), [['photos', 'ownership', 'BucketOwnerEnforced']]);
    await assert.rejects(put('ObjectWriter'), s3Code('NotImplemented'));
    await assert.rejects(put('Nobody'), s3Code('MalformedXML'));
    const bucket = having({ ownership: 'BucketOwnerEnforced' });
    assert.ok(bodyOf(await run(settings.getBucketOwnershipControls, { bucket })).includes('BucketOwnerEnforced'));
    await assert.rejects(run(settings.getBucketOwnershipControls, {}), s3Code('OwnershipControlsNotFoundError'));
  });

  const grant = (grantee: string, permission = 'READ'): string =>
    `<Grant><Grantee>${grantee}</Grantee><Permission>${permission}</Permission></Grant>`;
  const acl = (grants: string, owner = 'alice-id'): string =>
    `<AccessControlPolicy><Owner><ID>${owner}</ID></Owner><AccessControlList>${grants}</AccessControlList></AccessControlPolicy>`;
  const EVERYBODY = '<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>';
  const asked: Readonly<Record<string, readonly [request: RequestInit, code: string | undefined]>> = {
    private: [{ headers: { 'x-amz-acl': 'private' } }, undefined],
    'bucket-owner-full-control': [{ headers: { 'x-amz-acl': 'bucket-owner-full-control' } }, undefined],
    'public-read': [{ headers: { 'x-amz-acl': 'public-read' } }, 'AccessControlListNotSupported'],
    'an unknown canned ACL': [{ headers: { 'x-amz-acl': 'open' } }, 'InvalidArgument'],
    'a grant to the owner': [{ headers: { 'x-amz-grant-read': 'id="alice-id"' } }, undefined],
    'a grant to another': [
      { headers: { 'x-amz-grant-read': 'id="alice-id", id="bob-id"' } },
      'AccessControlListNotSupported',
    ],
    'a grant to a group': [{ headers: { 'x-amz-grant-write': 'uri="x"' } }, 'AccessControlListNotSupported'],
    'a grant to nonsense': [{ headers: { 'x-amz-grant-write': 'bob' } }, 'InvalidArgument'],
    'both kinds of header': [
      { headers: { 'x-amz-acl': 'private', 'x-amz-grant-read': 'id=alice-id' } },
      'InvalidRequest',
    ],
    'no grant': [{ body: acl('') }, undefined],
    'the owner’s grant': [{ body: acl(grant('<ID>alice-id</ID>', 'FULL_CONTROL')) }, undefined],
    'a public document': [{ body: acl(grant(EVERYBODY)) }, 'AccessControlListNotSupported'],
    'another owner': [{ body: acl('', 'bob-id') }, 'AccessDenied'],
    'no such permission': [{ body: acl(grant('<ID>alice-id</ID>', 'ALL')) }, 'MalformedACLError'],
    garbage: [{ body: '<AccessControlPolicy>' }, 'MalformedACLError'],
    'header and body': [{ body: acl(''), headers: { 'x-amz-acl': 'private' } }, 'UnexpectedContent'],
    'nothing at all': [{}, 'MissingSecurityHeader'],
  };
  for (const [what, [request, code]] of Object.entries(asked)) {
    test(`an ACL of ${what} is ${code ?? 'taken'}`, async () => {
      if (code === undefined) assert.deepEqual(await stored(settings.putBucketAcl, request), []);
      else await assert.rejects(stored(settings.putBucketAcl, request), s3Code(code));
    });
  }

  test('the ACL shown is the owner’s full control', async () => {
    const shown = await runXml(settings.getBucketAcl, {});
    const row = children(children(shown, 'AccessControlList')[0]!, 'Grant')[0]!;
    const [grantee] = children(row, 'Grantee');
    assert.deepEqual([childText(grantee!, 'ID'), childText(row, 'Permission')], ['alice-id', 'FULL_CONTROL']);
    assert.equal(grantee?.attributes['xsi:type'], 'CanonicalUser');
  });
});

const open = (more: object = {}): Json => ({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::photos/*', ...more }],
});

describe('policies', () => {
  test('are checked by the auth port, stored as documents and shown', async () => {
    const body = JSON.stringify(open());
    assert.deepEqual(await stored(policies.putBucketPolicy, { body }), [['photos', 'policy', open()]]);
    const shown = await run(policies.getBucketPolicy, { bucket: having({ policy: open() }) });
    assert.deepEqual(JSON.parse(bodyOf(shown)), open());
    const refuse = (): never => {
      throw new SkerryError('InvalidArgument', 'Missing required field Effect', {
        details: { reason: 'MalformedPolicy' },
      });
    };
    await assert.rejects(stored(policies.putBucketPolicy, { body }, refuse), s3Code('MalformedPolicy'));
    await assert.rejects(run(policies.getBucketPolicy, {}), s3Code('NoSuchBucketPolicy'));
    await assert.rejects(run(policies.getBucketPolicyStatus, {}), s3Code('NoSuchBucketPolicy'));
  });

  for (const body of [
    '',
    'policy',
    '[]',
    '{',
    '"{}"',
    JSON.stringify({ ...(open() as object), Id: 'x'.repeat(20_480) }),
  ]) {
    test(`${JSON.stringify(body.slice(0, 12))} is MalformedPolicy`, () =>
      assert.rejects(stored(policies.putBucketPolicy, { body }), s3Code('MalformedPolicy')));
  }

  const when = (operator: string, key: string, value: Json): Json =>
    open({ Condition: { [operator]: { [key]: value } } });
  const status: Readonly<Record<string, readonly [policy: Json, isPublic: boolean]>> = {
    everybody: [open(), true],
    'everybody, as an AWS principal': [open({ Principal: { AWS: ['*'] } }), true],
    'everybody but one': [open({ Principal: undefined, NotPrincipal: { AWS: 'arn:aws:iam::1:root' } }), true],
    'one user': [open({ Principal: { AWS: 'arn:aws:iam::000000000002:user/bob' } }), false],
    'a denial': [open({ Effect: 'Deny' }), false],
    'one network': [when('IpAddress', 'aws:SourceIp', ['203.0.113.0/24']), false],
    'all networks': [when('IpAddress', 'aws:SourceIp', ['203.0.113.0/24', '0.0.0.0/1']), true],
    'all but one network': [when('NotIpAddress', 'aws:SourceIp', '203.0.113.0/24'), true],
    'one endpoint': [when('StringEquals', 'aws:SourceVpce', 'vpce-1'), false],
    'any endpoint': [when('StringLike', 'aws:SourceVpce', 'vpce-*'), true],
    'a variable': [when('StringEquals', 'aws:userid', '${aws:username}'), true],
    'a condition that narrows nobody': [when('StringEquals', 's3:prefix', 'a'), true],
    'one statement of several': [
      {
        Statement: [
          ...(open({ Effect: 'Deny' }) as { Statement: Json[] }).Statement,
          ...(open() as { Statement: Json[] }).Statement,
        ],
      },
      true,
    ],
  };
  for (const [what, [policy, isPublic]] of Object.entries(status)) {
    test(`a policy for ${what} is ${isPublic ? '' : 'not '}public`, async () => {
      assert.equal(isPublicPolicy(policy), isPublic);
      const shown = await runXml(policies.getBucketPolicyStatus, { bucket: having({ policy }) });
      assert.equal(childText(shown, 'IsPublic'), String(isPublic));
    });
  }
});

describe('public access block', () => {
  const block = {
    blockPublicAcls: true,
    ignorePublicAcls: false,
    blockPublicPolicy: true,
    restrictPublicBuckets: false,
  };
  const document = (content: string): string =>
    `<PublicAccessBlockConfiguration>${content}</PublicAccessBlockConfiguration>`;

  test('is stored and shown', async () => {
    const body = document('<BlockPublicAcls>true</BlockPublicAcls><BlockPublicPolicy>TRUE</BlockPublicPolicy>');
    assert.deepEqual(await stored(policies.putPublicAccessBlock, { body }), [['photos', 'publicAccess', block]]);
    const shown = await runXml(policies.getPublicAccessBlock, { bucket: having({ publicAccess: block }) });
    assert.deepEqual(
      shown.children.map(({ text }) => text),
      ['true', 'false', 'true', 'false'],
    );
    await assert.rejects(run(policies.getPublicAccessBlock, {}), s3Code('NoSuchPublicAccessBlockConfiguration'));
    for (const bad of ['<BlockPublicAcls>yes</BlockPublicAcls>', '<BlockAll>true</BlockAll>']) {
      await assert.rejects(stored(policies.putPublicAccessBlock, { body: document(bad) }), s3Code('MalformedXML'), bad);
    }
  });

  test('refuses a public policy, and takes another', async () => {
    const bucket = having({ publicAccess: block });
    const put = (policy: Json) => stored(policies.putBucketPolicy, { bucket, body: JSON.stringify(policy) });
    await assert.rejects(put(open()), s3Code('AccessDenied'));
    assert.equal((await put(open({ Principal: { AWS: 'arn:aws:iam::000000000002:root' } }))).length, 1);
  });

  test('restricted: of a public policy others meet only the denials, the owner all', () => {
    const denial = { Effect: 'Deny', Principal: '*', Action: 's3:*', Resource: '*' };
    const policy: Json = { Statement: [...(open() as { Statement: Json[] }).Statement, denial] };
    const bucket = having({ publicAccess: { ...block, restrictPublicBuckets: true } });
    assert.equal(effectivePolicy(bucket, policy, 'alice-id'), policy);
    const met = effectivePolicy(bucket, policy, 'bob-id');
    assert.deepEqual(met, { Statement: [denial] });
    assert.equal(effectivePolicy(bucket, policy, 'carol-id'), met, 'the same object: the auth port compiles it once');
    assert.equal(effectivePolicy(having({ publicAccess: block }), policy, 'bob-id'), policy);
  });
});

describe('settings that nothing acts on', () => {
  const unset: readonly (readonly [operation: S3Operation, code: string])[] = [
    [inactive.getBucketLifecycle, 'NoSuchLifecycleConfiguration'],
    [inactive.getBucketWebsite, 'NoSuchWebsiteConfiguration'],
    [inactive.getBucketReplication, 'ReplicationConfigurationNotFoundError'],
    [inactive.getBucketEncryption, 'ServerSideEncryptionConfigurationNotFoundError'],
    [inactive.getObjectLockConfiguration, 'ObjectLockConfigurationNotFoundError'],
  ];
  for (const [operation, code] of unset) {
    test(`${operation.name} is ${code}`, () => assert.rejects(run(operation, {}), s3Code(code)));
  }

  const documents: readonly (readonly [operation: S3Operation, root: string, content: readonly string[]])[] = [
    [inactive.getBucketLogging, 'BucketLoggingStatus', []],
    [inactive.getBucketNotification, 'NotificationConfiguration', []],
    [inactive.getBucketRequestPayment, 'RequestPaymentConfiguration', ['BucketOwner']],
    [inactive.getBucketAccelerate, 'AccelerateConfiguration', []],
  ];
  for (const [operation, root, content] of documents) {
    test(`${operation.name} is the default`, async () => {
      const shown = await runXml(operation, {});
      assert.deepEqual([shown.name, shown.children.map(({ text }) => text)], [root, content]);
    });
  }

  const puts: readonly (readonly [operation: S3Operation, refused: string, harmless?: string])[] = [
    [inactive.putBucketLifecycle, '<LifecycleConfiguration><Rule/></LifecycleConfiguration>'],
    [inactive.putBucketWebsite, '<WebsiteConfiguration/>'],
    [inactive.putBucketReplication, '<ReplicationConfiguration/>'],
    [inactive.putBucketEncryption, '<ServerSideEncryptionConfiguration/>'],
    [
      inactive.putBucketLogging,
      '<BucketLoggingStatus><LoggingEnabled/></BucketLoggingStatus>',
      '<BucketLoggingStatus/>',
    ],
    [
      inactive.putBucketNotification,
      '<NotificationConfiguration><TopicConfiguration/></NotificationConfiguration>',
      '<NotificationConfiguration/>',
    ],
    [
      inactive.putBucketRequestPayment,
      '<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>',
      '<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>',
    ],
    [
      inactive.putBucketAccelerate,
      '<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>',
      '<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>',
    ],
    [
      inactive.putObjectLockConfiguration,
      '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>',
    ],
  ];
  for (const [operation, refused, harmless] of puts) {
    test(`${operation.name} refuses with a reason and stores nothing`, async () => {
      await assert.rejects(stored(operation, { body: refused }), (error: Error) => {
        assert.match(error.message, /is not supported: .{20}/);
        return s3Code('NotImplemented')(error);
      });
      await assert.rejects(stored(operation, { body: '<Other/>' }), s3Code('MalformedXML'));
      if (harmless !== undefined) assert.deepEqual(await stored(operation, { body: harmless }), []);
    });
  }

  test('clearing them is done already', async () => {
    for (const operation of [
      inactive.deleteBucketLifecycle,
      inactive.deleteBucketWebsite,
      inactive.deleteBucketEncryption,
    ]) {
      assert.equal((await run(operation, {})).status, 204);
    }
  });

  test('a locked bucket says so, and may be told again', async () => {
    const bucket = bucketInfo({ objectLock: true });
    const shown = await run(inactive.getObjectLockConfiguration, { bucket });
    const body = bodyOf(shown);
    assert.ok(body.includes('<ObjectLockEnabled>Enabled</ObjectLockEnabled>'));
    assert.deepEqual(await stored(inactive.putObjectLockConfiguration, { bucket, body }), []);
  });
});
