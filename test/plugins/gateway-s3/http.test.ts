/** The listener over real sockets: what a well-behaved client never shows. */
import assert from 'node:assert/strict';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { text as readText } from 'node:stream/consumers';
import { describe, test } from 'node:test';

import { SkerryError } from '../../../core/contracts/index.ts';
import { RawClient, brokenObject, startRig, type Rig } from './fixtures/gateway-rig.ts';

const HOST = 'Host: localhost\r\n';
const MIB = 1_048_576;

function get(rig: Rig, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port: rig.port, host: '127.0.0.1', path, method, headers, agent: false }, resolve);
    request.on('error', reject);
    request.end();
  });
}

describe('requests that are not HTTP', () => {
  const cases: Readonly<Record<string, readonly [bytes: string, status: number, code: string]>> = {
    'no request at all': ['hello there\r\n\r\n', 400, 'BadRequest'],
    'raw UTF-8 in the request line': ['GET /photos/é HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'BadRequest'],
    'two lengths': [
      `PUT /photos/k HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
      400,
      'BadRequest',
    ],
    'length and chunked': [
      `PUT /photos/k HTTP/1.1\r\n${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`,
      400,
      'BadRequest',
    ],
    'headers too large': [
      `GET /photos/k HTTP/1.1\r\n${HOST}X-Big: ${'x'.repeat(200_000)}\r\n\r\n`,
      400,
      'RequestHeaderSectionTooLarge',
    ],
    'unknown expectation': [
      `PUT /photos/k HTTP/1.1\r\n${HOST}Expect: miracles\r\nContent-Length: 0\r\n\r\n`,
      417,
      'ExpectationFailed',
    ],
  };
  for (const [name, [bytes, status, code]] of Object.entries(cases)) {
    test(`${name}: ${status} ${code} in XML`, async () => {
      await using rig = await startRig();
      using client = new RawClient(rig.port);
      const answer = await client.send(bytes).until(/<\/Error>/);
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.match(answer, new RegExp(`<Code>${code}</Code>`));
      assert.match(answer, /x-amz-request-id: [0-9A-F]+/);
      await client.closed;
    });
  }

  test('a chunked body that breaks its framing ends the request', async () => {
    await using rig = await startRig();
    using client = new RawClient(rig.port);
    client.send(`PUT /photos/k?policy HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nzz\r\n`);
    await client.closed;
    assert.equal(rig.bodies.size, 0);
  });
});

describe('100-continue', () => {
  const expecting = (extra: string): string =>
    `PUT /photos/k HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 4\r\n${extra}\r\n`;

  test('comes when the body is wanted', async () => {
    await using rig = await startRig();
    using client = new RawClient(rig.port);
    await client.send(expecting('')).until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    await client.send('data').until(/HTTP\/1\.1 200 OK[^]*x-skerry-causality: c1/);
    assert.equal(Buffer.from(rig.bodies.get('k') ?? []).toString(), 'data');
  });

  test('does not come for a request that is refused', async () => {
    await using rig = await startRig();
    using client = new RawClient(rig.port);
    const answer = await client.send(expecting('x-test-refuse: SignatureDoesNotMatch\r\n')).until(/<\/Error>/);
    assert.match(answer, /^HTTP\/1\.1 403 /);
    assert.match(answer, /<Code>SignatureDoesNotMatch<\/Code>/);
    await client.closed;
  });
});

describe('early answers', () => {
  test('a client that sends its whole body first still sees the refusal, and keeps its connection', async () => {
    await using rig = await startRig();
    using client = new RawClient(rig.port);
    const body = Buffer.alloc(300_000, 1);
    client
      .send(`PUT /photos/k HTTP/1.1\r\n${HOST}x-test-refuse: AccessDenied\r\nContent-Length: ${body.length}\r\n\r\n`)
      .send(body);
    await client.until(/<Code>AccessDenied<\/Code>[^]*<\/Error>/);
    await client.send(`GET /photos/none HTTP/1.1\r\n${HOST}\r\n`).until(/<Code>NoSuchKey<\/Code>/);
  });

  test('a body too long to be read past ends the connection after the answer', async () => {
    await using rig = await startRig();
    using client = new RawClient(rig.port);
    client.send(`PUT /photos/k HTTP/1.1\r\n${HOST}x-test-refuse: AccessDenied\r\nContent-Length: ${64 * MIB}\r\n\r\n`);
    client.send(Buffer.alloc(200_000, 1));
    const answer = await client.until(/<\/Error>/);
    assert.match(answer, /connection: close/i);
    client.send(Buffer.alloc(16 * MIB, 1)).socket.end();
    await client.closed;
  });
});

describe('bodies', () => {
  test('large bodies stream in and out', async () => {
    await using rig = await startRig();
    const body = Buffer.alloc(3 * MIB + 17, 'skerry');
    const put = await fetch(`${rig.url}/photos/big`, { method: 'PUT', body });
    assert.equal(put.status, 200);
    assert.deepEqual(Buffer.from(rig.bodies.get('big') ?? []), body);
    const got = await fetch(`${rig.url}/photos/big`);
    assert.equal(got.headers.get('content-length'), String(body.length));
    assert.deepEqual(Buffer.from(await got.arrayBuffer()), body);
  });

  test('a client that goes away in mid-body aborts the write', async () => {
    const seen = Promise.withResolvers<unknown>();
    await using rig = await startRig({
      objects: {
        putObject: async ({ body, signal }) => {
          try {
            for await (const _ of body.stream ?? []) client.socket.destroy();
          } catch (error) {
            seen.resolve([error, signal?.aborted]);
            throw error;
          }
          throw new Error('the body ended');
        },
      },
    });
    using client = new RawClient(rig.port);
    client.send(`PUT /photos/k HTTP/1.1\r\n${HOST}Content-Length: ${10 * MIB}\r\n\r\n`).send(Buffer.alloc(100_000));
    const [error, aborted] = (await seen.promise) as [unknown, boolean];
    assert.ok(error instanceof SkerryError && error.code === 'Aborted', String(error));
    assert.equal(aborted, true);
    await rig.gateway.close();
    assert.equal(rig.logLines.at(-1)?.['status'], 499);
  });

  test('a client that goes away in mid-answer ends the read', async () => {
    const ended = Promise.withResolvers<void>();
    await using rig = await startRig();
    rig.bodies.set('k', Buffer.alloc(64 * MIB));
    using client = new RawClient(rig.port);
    client.socket.pause();
    client.socket.once('data', () => {
      client.socket.destroy();
      ended.resolve();
    });
    client.send(`GET /photos/k HTTP/1.1\r\n${HOST}\r\n`);
    client.socket.resume();
    await ended.promise;
    await rig.gateway.drain(10_000);
    assert.equal(rig.logLines.at(-1)?.['status'], 499);
  });

  test('a body that fails half way breaks the connection: a short body must not look whole', async () => {
    await using rig = await startRig({
      objects: { openObject: async () => brokenObject() },
    });
    using client = new RawClient(rig.port);
    client.send(`GET /photos/k HTTP/1.1\r\n${HOST}\r\n`);
    await client.closed;
    assert.match(client.text, /^HTTP\/1\.1 200 /);
    assert.ok(client.text.length < 300_000);
    assert.equal(rig.logLines.at(-1)?.['errorCode'], 'InternalError');
  });
});

describe('silent clients', () => {
  test('a body that stops is answered with RequestTimeout', async () => {
    await using rig = await startRig({ options: { idleTimeoutMs: 50 } });
    using client = new RawClient(rig.port);
    client.send(`PUT /photos/k HTTP/1.1\r\n${HOST}Content-Length: 100\r\n\r\nhalf`);
    await client.until(/<Code>RequestTimeout<\/Code>/);
    await client.closed;
    assert.equal(rig.bodies.size, 0);
  });

  test('a request that never ends its headers is cut', async () => {
    await using rig = await startRig({ options: { idleTimeoutMs: 50 } });
    using client = new RawClient(rig.port);
    client.send('GET /photos/k HTTP/1.1\r\nHost: ');
    await client.closed;
  });

  test('a slow server is not a silent client', async () => {
    const hold = Promise.withResolvers<void>();
    let looks = 0;
    await using rig = await startRig({
      options: { idleTimeoutMs: 20 },
      objects: {
        listBuckets: async () => {
          await hold.promise;
          return { entries: [], commonPrefixes: [], truncated: false };
        },
      },
    });
    using client = new RawClient(rig.port);
    client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    const look = (): void => {
      looks += 1;
      if (looks === 10) hold.resolve();
      else setTimeout(look, 20);
    };
    look();
    await client.until(/<\/ListAllMyBucketsResult>/);
  });
});

describe('health', () => {
  test('is answered before S3', async () => {
    let ready = false;
    await using rig = await startRig({ ready: () => (ready ? { ready } : { ready, reason: 'opening the store' }) });
    const live = await get(rig, '/-/health/live');
    assert.equal(live.statusCode, 200);
    const waiting = await get(rig, '/-/health/ready');
    assert.equal(waiting.statusCode, 503);
    assert.equal(await readText(waiting), 'opening the store\n');
    ready = true;
    assert.equal((await get(rig, '/-/health/ready')).statusCode, 200);
    assert.equal((await get(rig, '/-/health/ready', {}, 'HEAD')).statusCode, 200);
    assert.equal((await get(rig, '/-/health/nothing')).statusCode, 404);
    assert.equal(rig.logLines.length, 0);
  });
});

describe('answers', () => {
  test('HEAD has the headers and no body', async () => {
    await using rig = await startRig();
    rig.bodies.set('k', Buffer.from('hello'));
    const head = await get(rig, '/photos/k', {}, 'HEAD');
    assert.equal(head.headers['content-length'], '5');
    assert.equal(await readText(head), '');
    const missing = await get(rig, '/photos/none', {}, 'HEAD');
    assert.equal(missing.statusCode, 404);
    assert.equal(await readText(missing), '');
  });

  test('304 carries the validators and no body', async () => {
    await using rig = await startRig();
    rig.bodies.set('k', Buffer.from('hello'));
    const answer = await get(rig, '/photos/k', { 'if-none-match': '"e7a9"' });
    assert.equal(answer.statusCode, 304);
    assert.equal(answer.headers['etag'], '"e7a9"');
    assert.equal(answer.headers['content-length'], undefined);
    assert.equal(await readText(answer), '');
  });

  test('several ranges come as multipart/byteranges of the announced length', async () => {
    await using rig = await startRig();
    rig.bodies.set('k', Buffer.from('0123456789'));
    const answer = await get(rig, '/photos/k', { range: 'bytes=1-2,-3' });
    assert.equal(answer.statusCode, 206);
    const boundary = /^multipart\/byteranges; boundary=(.+)$/.exec(answer.headers['content-type'] ?? '')?.[1] ?? '';
    const body = await readText(answer);
    assert.equal(body.length, Number(answer.headers['content-length']));
    const part = (range: string, bytes: string): string =>
      `\r\n--${boundary}\r\nContent-Type: text/x-test\r\nContent-Range: bytes ${range}/10\r\n\r\n${bytes}`;
    assert.equal(body, `${part('1-2', '12')}${part('7-9', '789')}\r\n--${boundary}--\r\n`);
  });

  test('a range outside the object says how long it is', async () => {
    await using rig = await startRig();
    rig.bodies.set('k', Buffer.from('0123456789'));
    const answer = await get(rig, '/photos/k', { range: 'bytes=10-' });
    assert.equal(answer.statusCode, 416);
    assert.equal(answer.headers['content-range'], 'bytes */10');
    assert.match(await readText(answer), /<ActualObjectSize>10<\/ActualObjectSize>/);
  });

  test('an unforeseen failure is a 500 with an id that the log knows', async () => {
    await using rig = await startRig({
      objects: { openObject: () => Promise.reject(new TypeError('secret inner words')) },
    });
    const answer = await get(rig, '/photos/k?X-Amz-Signature=abcdef');
    const body = await readText(answer);
    assert.equal(answer.statusCode, 500);
    assert.doesNotMatch(body, /secret inner words/);
    const id = answer.headers['x-amz-request-id'];
    const failure = rig.logLines.find((line) => line['msg'] === 'request failed');
    assert.equal(failure?.['requestId'], id);
    assert.match(JSON.stringify(failure), /secret inner words/);
    assert.doesNotMatch(JSON.stringify(rig.logLines), /abcdef/);
  });
});

describe('drain', () => {
  test('lets a running request finish and refuses new connections', async () => {
    const hold = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    await using rig = await startRig({
      objects: {
        listBuckets: async () => {
          entered.resolve();
          await hold.promise;
          return { entries: [], commonPrefixes: [], truncated: false };
        },
      },
    });
    using client = new RawClient(rig.port);
    client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    await entered.promise;
    const drained = rig.gateway.drain(60_000);
    await assert.rejects(fetch(`${rig.url}/-/health/live`));
    hold.resolve();
    await drained;
    await client.closed;
    assert.match(client.text, /ListAllMyBucketsResult[^]*<\/ListAllMyBucketsResult>/);
    assert.match(client.text, /connection: close/i);
  });

  test('breaks what does not finish within the grace', async () => {
    const entered = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<void>();
    await using rig = await startRig({
      objects: {
        putObject: ({ signal }) => {
          entered.resolve();
          return new Promise((_, reject) => {
            signal?.addEventListener('abort', () => {
              aborted.resolve();
              reject(new SkerryError('Aborted', 'gone'));
            });
          });
        },
      },
    });
    using client = new RawClient(rig.port);
    client.send(`PUT /photos/k HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`);
    await entered.promise;
    await rig.gateway.drain(1);
    await aborted.promise;
    await client.closed;
    assert.equal(client.text, '');
  });
});
