/** Every file right in examples/configs (those of one site) boots under the real command and takes and gives an object. */
import assert from 'node:assert/strict';
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import type { LookupFunction } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';

import { scratch, serve, skerryJson, type Serving } from './cli/command.ts';
import { rootCredentials, type Credentials } from './support/root-credentials.ts';

const EXAMPLES = fileURLToPath(new URL('../examples/configs/', import.meta.url));
const SCANNER_SECRET = 'secret-of-the-scanner';
const PUBLIC = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::public/*' }],
};

/** What an example needs beside itself, and what it promises beyond a put and a get. */
interface Expectation {
  readonly env?: Readonly<Record<string, string>>;
  readonly credentials?: Credentials;
  readonly prepare?: (cwd: string) => void;
  readonly check?: (site: Serving, file: string, cwd: string) => Promise<void>;
}

const EXPECTATIONS: Readonly<Record<string, Expectation>> = {
  'single-site.yaml': {},
  'memory-only.yaml': {
    credentials: { accessKeyId: 'any', secretAccessKey: 'anything' },
    check: async ({ url }) => {
      assert.equal((await fetch(`${url}/fixtures/unsigned`, { method: 'PUT', body: 'x' })).status, 200);
    },
  },
  'public-bucket.yaml': {
    check: async ({ url }, file, cwd) => {
      await skerryJson(['bucket', 'policy', 'public', 'public-read.json', '-c', file], { cwd });
      await s3(url, rootCredentials(join(cwd, 'data'))).send(
        new PutObjectCommand({ Bucket: 'public', Key: 'k', Body: 'free' }),
      );
      assert.equal(await (await fetch(`${url}/public/k`)).text(), 'free');
      assert.equal((await fetch(`${url}/public/k`, { method: 'PUT', body: 'x' })).status, 403);
    },
    prepare: (cwd) => writeFileSync(join(cwd, 'public-read.json'), JSON.stringify(PUBLIC)),
  },
  'virtual-host-domains.yaml': {
    check: async ({ url }, _file, cwd) => {
      await s3(url, rootCredentials(join(cwd, 'data'))).send(
        new PutObjectCommand({ Bucket: 'photos', Key: 'cat', Body: 'miaow' }),
      );
      const { port } = new URL(url);
      const client = new S3Client({
        endpoint: `http://s3.localhost:${port}`,
        region: 'us-east-1',
        credentials: rootCredentials(join(cwd, 'data')),
        requestHandler: { httpAgent: new Agent({ lookup: everythingIsHere }) },
      });
      const { Body } = await client.send(new GetObjectCommand({ Bucket: 'photos', Key: 'cat' }));
      assert.equal(await Body?.transformToString(), 'miaow');
    },
  },
  'explicit-identities.yaml': {
    env: { CLINIC_ADMIN_SECRET: 'secret-of-the-clinic' },
    credentials: { accessKeyId: 'CLINICADMIN', secretAccessKey: 'secret-of-the-clinic' },
    prepare: (cwd) => writeFileSync(join(cwd, 'scanner.secret'), `${SCANNER_SECRET}\n`),
    check: async (site) => {
      const scanner = s3(site.url, { accessKeyId: 'SCANNER', secretAccessKey: SCANNER_SECRET });
      await scanner.send(new PutObjectCommand({ Bucket: 'scans', Key: 'one', Body: 'scan' }));
      await assert.rejects(scanner.send(new GetObjectCommand({ Bucket: 'scans', Key: 'one' })), {
        name: 'AccessDenied',
      });
      assert.doesNotMatch(site.stdout(), /First start/);
    },
  },
};

/** Not every machine resolves names below localhost. */
const everythingIsHere: LookupFunction = (_hostname, _options, callback) =>
  callback(null, [{ address: '127.0.0.1', family: 4 }]);

function s3(endpoint: string, credentials: Credentials): S3Client {
  return new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
}

describe('examples/configs', () => {
  const files = readdirSync(EXAMPLES)
    .filter((name) => name.endsWith('.yaml'))
    .sort();

  test('each is expected here', () => {
    assert.deepEqual(files, Object.keys(EXPECTATIONS).sort());
  });

  for (const file of files) {
    test(file, async () => {
      assert.match(readFileSync(join(EXAMPLES, file), 'utf8'), /^# \S/, 'it begins by saying what it is for');
      const { env, credentials, prepare, check } = EXPECTATIONS[file] ?? {};
      const { path: cwd, remove } = scratch();
      try {
        copyFileSync(join(EXAMPLES, file), join(cwd, file));
        prepare?.(cwd);
        const site = await serve({ cwd, ...(env === undefined ? {} : { env }) }, '-c', file);
        try {
          const client = s3(site.url, credentials ?? rootCredentials(join(cwd, 'data')));
          await client.send(new CreateBucketCommand({ Bucket: 'example' }));
          await client.send(new PutObjectCommand({ Bucket: 'example', Key: 'a/b', Body: 'kept' }));
          const { Body } = await client.send(new GetObjectCommand({ Bucket: 'example', Key: 'a/b' }));
          assert.equal(await Body?.transformToString(), 'kept');
          await check?.(site, file, cwd);
        } finally {
          assert.equal(await site.end(), 0, site.stderr());
        }
      } finally {
        remove();
      }
    });
  }
});
