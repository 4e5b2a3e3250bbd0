/** What S3 clients see of conflicts, of causality and of another site's uploads: two engines that exchange ops by hand, each behind a gateway. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';

import { CausalSession } from '../../../docs/examples/causal-reads.ts';
import { causalityToken } from '../../../core/engine/versions.ts';
import { createKeepBothResolver } from '../../../plugins/resolver-keep-both/keep-both-resolver.ts';
import { child, children, childText, parseXmlRoot } from '../../../plugins/gateway-s3/xml.ts';
import { exchange, put } from '../../engine/exchange.ts';
import { BUCKET, wholeSite, type WholeSite } from '../../engine/whole-site.ts';
import { startRig, type Rig } from './fixtures/gateway-rig.ts';
import { listConflicts } from '../../../plugins/gateway-s3/operations/conflicts.ts';
import { run, s3Code } from './fixtures/operation-rig.ts';

interface Two extends AsyncDisposable {
  readonly sites: readonly [WholeSite, WholeSite];
  readonly rigs: readonly [Rig, Rig];
  readonly urls: readonly [string, string];
}

async function twoSites(keepBoth: boolean): Promise<Two> {
  const resolver = createKeepBothResolver();
  await resolver.open();
  const options = keepBoth ? { conflictResolver: resolver } : {};
  const sites = [await wholeSite({ siteId: 'a', ...options }), await wholeSite({ siteId: 'b', ...options })] as const;
  await exchange(...sites);
  const rigs = [await startRig({ objects: sites[0].objects }), await startRig({ objects: sites[1].objects })] as const;
  return {
    sites,
    rigs,
    urls: [`${rigs[0].url}/${BUCKET}`, `${rigs[1].url}/${BUCKET}`],
    async [Symbol.asyncDispose]() {
      for (const rig of rigs) await rig[Symbol.asyncDispose]();
      for (const site of sites) await site[Symbol.asyncDispose]();
    },
  };
}

describe('a key in conflict over S3', () => {
  test('keep-both: GET and HEAD answer the winner with a link to each sibling, which opens it', async () => {
    await using two = await twoSites(true);
    const [a, b] = two.sites;
    await put(a, 'k', 'from a');
    await put(b, 'k', 'from b');
    await exchange(a, b);
    for (const url of two.urls) {
      const answer = await fetch(`${url}/k`);
      assert.equal(await answer.text(), 'from b');
      assert.equal(answer.headers.get('x-skerry-conflict'), 'true');
      const link = /^<([^>]+)>; rel="alternate"$/.exec(answer.headers.get('link') ?? '')?.[1] ?? '';
      assert.equal(await (await fetch(new URL(link, `${url}/k`))).text(), 'from a');
      const head = await fetch(`${url}/k`, { method: 'HEAD' });
      assert.deepEqual(
        [head.headers.get('x-skerry-conflict'), head.headers.get('link')],
        ['true', answer.headers.get('link')],
      );
    }
    await fetch(`${two.urls[0]}/k`, { method: 'PUT', body: 'seen both' });
    await exchange(a, b);
    for (const url of two.urls) {
      const answer = await fetch(`${url}/k`);
      assert.deepEqual([answer.headers.get('x-skerry-conflict'), answer.headers.get('link')], [null, null]);
    }
  });

  test('lww: the answer says that there is a conflict and links nowhere; an absent object that lost to a removal says so too', async () => {
    await using two = await twoSites(false);
    const [a, b] = two.sites;
    await put(a, 'k', 'one');
    await put(a, 'gone', 'one');
    await exchange(a, b);
    await put(a, 'gone', 'two');
    await put(a, 'k', 'two');
    await put(b, 'k', 'three');
    b.clock.wallMs += 1000;
    await b.objects.deleteObject({ bucket: BUCKET, key: 'gone', owner: 'o' });
    await exchange(a, b);
    const answer = await fetch(`${two.urls[0]}/k`);
    assert.deepEqual([answer.headers.get('x-skerry-conflict'), answer.headers.get('link')], ['true', null]);
    const absent = await fetch(`${two.urls[0]}/gone`);
    assert.deepEqual([absent.status, absent.headers.get('x-skerry-conflict')], [404, 'true']);
  });

  test('GET /bucket?x-skerry-conflicts lists winners and losers, page by page', async () => {
    await using two = await twoSites(true);
    const [a, b] = two.sites;
    for (const key of ['a&b', 'c', 'd']) {
      await put(a, key, 'a');
      await put(b, key, 'bb');
    }
    await exchange(a, b);
    const page = async (query: string) => {
      const answer = await fetch(`${two.urls[0]}?x-skerry-conflicts${query}`);
      assert.equal(answer.status, 200);
      return parseXmlRoot(await answer.text(), 'ListConflictsResult');
    };
    const first = await page('&max-keys=2');
    assert.deepEqual([childText(first, 'IsTruncated'), childText(first, 'NextKeyMarker')], ['true', 'c']);
    const rows = children(first, 'Conflict');
    assert.deepEqual(
      rows.map((row) => childText(row, 'Key')),
      ['a&b', 'c'],
    );
    const [row] = rows;
    assert.ok(row);
    const [winner, loser] = [child(row, 'Winner'), child(row, 'Loser')];
    assert.ok(winner && loser);
    assert.deepEqual(
      [childText(winner, 'Site'), childText(winner, 'Size'), childText(loser, 'Site'), childText(loser, 'Kind')],
      ['b', '2', 'a', 'Object'],
    );
    assert.equal(childText(row, 'LosersShownAs'), 'Sibling');
    const opened = await fetch(`${two.urls[1]}/a%26b?versionId=${childText(loser, 'VersionId')}`);
    assert.equal(await opened.text(), 'a');
    const second = await page('&max-keys=2&key-marker=c');
    assert.deepEqual(
      children(second, 'Conflict').map((one) => childText(one, 'Key')),
      ['d'],
    );
    assert.equal(childText(second, 'IsTruncated'), 'false');
    assert.equal((await fetch(`${two.urls[0]}?x-skerry-conflicts&max-keys=0`)).status, 400);
  });

  test('listing conflicts takes the permission to list versions', async () => {
    assert.deepEqual([listConflicts.action, listConflicts.resource], ['s3:ListBucketVersions', 'bucket']);
    const listing = run(listConflicts, { query: { 'max-keys': 'x' } }, {});
    await assert.rejects(listing, s3Code('InvalidArgument'));
  });
});

describe('rule 18 over S3', () => {
  test('every answer to a write carries a token, a bucket setting and a removal included', async () => {
    await using two = await twoSites(false);
    const [url] = two.urls;
    const writes: readonly (readonly [string, RequestInit])[] = [
      ['/k', { method: 'PUT', body: 'x' }],
      [
        '/k?tagging',
        { method: 'PUT', body: '<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>' },
      ],
      ['/k', { method: 'DELETE' }],
      [
        '?tagging',
        { method: 'PUT', body: '<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>' },
      ],
      ['?tagging', { method: 'DELETE' }],
    ];
    for (const [path, init] of writes) {
      const answer = await fetch(url + path, init);
      assert.ok(answer.ok, `${path} ${answer.status}`);
      const token = answer.headers.get('x-skerry-causality');
      assert.ok(token, path);
      assert.equal(token, await two.sites[0].objects.causality());
    }
  });

  test('a token that no site made is 400; one that the site cannot cover in time is 503 with Retry-After', async () => {
    await using two = await twoSites(false);
    const ask = (token: string) => fetch(`${two.urls[0]}/k`, { headers: { 'x-skerry-causality': token } });
    assert.equal((await ask('garbage')).status, 400);
    await using impatient = await startRig({
      objects: {
        ...two.sites[0].objects,
        waitFor: (token, scope) => two.sites[0].objects.waitFor(token, scope, { timeoutMs: 1 }),
      },
    });
    const headers = { 'x-skerry-causality': causalityToken({ 'far.0123456789abcdef': 9 }) };
    for (const [method, path] of [
      ['GET', '/k'],
      ['HEAD', '/k'],
      ['GET', '?list-type=2'],
      ['PUT', '/k'],
      ['DELETE', '/k'],
    ] as const) {
      const answer = await fetch(`${impatient.url}/${BUCKET}${path}`, { method, headers });
      assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '1'], `${method} ${path}`);
    }
  });

  test('the client of docs/examples reads at one site what it wrote at the other', async () => {
    await using two = await twoSites(false);
    const session = new CausalSession();
    const clients = two.rigs.map(
      (rig) =>
        new S3Client({
          endpoint: rig.url,
          region: 'us-east-1',
          forcePathStyle: true,
          credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
        }),
    );
    for (const client of clients) session.attach(client);
    const [here, there] = clients as [S3Client, S3Client];
    await here.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'k', Body: 'mine' }));
    assert.ok(session.token);
    const reading = there.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'k' }));
    await exchange(...two.sites);
    assert.equal(await (await reading).Body?.transformToString(), 'mine');
    const other = new CausalSession();
    other.observe(session.token);
    assert.equal(other.token, session.token);
    for (const client of clients) client.destroy();
  });
});

describe('an upload of another site', () => {
  test('every call that goes on with it is told where it was begun', async () => {
    await using two = await twoSites(false);
    const [here, there] = two.urls;
    const begun = await (await fetch(`${here}/k?uploads`, { method: 'POST' })).text();
    const uploadId = /<UploadId>([^<]+)</.exec(begun)?.[1] ?? '';
    const complete =
      '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"e"</ETag></Part></CompleteMultipartUpload>';
    const calls: readonly (readonly [string, RequestInit])[] = [
      [`partNumber=1&uploadId=${uploadId}`, { method: 'PUT', body: 'part' }],
      [
        `partNumber=1&uploadId=${uploadId}`,
        { method: 'PUT', headers: { 'x-amz-copy-source': encodeURIComponent(`${BUCKET}/k`) } },
      ],
      [`uploadId=${uploadId}`, { method: 'GET' }],
      [`uploadId=${uploadId}`, { method: 'POST', body: complete }],
      [`uploadId=${uploadId}`, { method: 'DELETE' }],
    ];
    for (const [query, init] of calls) {
      const answer = await fetch(`${there}/k?${query}`, init);
      const error = parseXmlRoot(await answer.text(), 'Error');
      assert.deepEqual(
        [answer.status, childText(error, 'Code'), childText(error, 'Site'), childText(error, 'UploadId')],
        [404, 'NoSuchUpload', 'a', uploadId],
        init.method,
      );
      assert.match(childText(error, 'Message') ?? '', /begun at site a .* This is site b\.$/);
    }
    assert.equal((await fetch(`${here}/k?uploadId=${uploadId}`, { method: 'DELETE' })).status, 204);
    const gone = await (await fetch(`${here}/k?uploadId=${uploadId}`)).text();
    assert.match(gone, /may have been aborted or completed/, 'its own site does not send anybody elsewhere');
  });
});
