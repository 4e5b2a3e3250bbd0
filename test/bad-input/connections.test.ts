/** Clients that send too much, too slowly, half of it, or anything at all. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { BadInputRig, BUCKET, allOf, until } from './support.ts';

const BODY = Buffer.alloc(200_000, 'the body that was there before ');
const LARGE_BYTES = 8 * 1024 * 1024;
/** What ops of the site may add meanwhile. */
const SLACK_BYTES = 64 * 1024;
let rig: BadInputRig;

before(async () => {
  rig = await BadInputRig.start({ gateway: { idleTimeoutMs: 300 } });
  assert.equal((await rig.put('kept', BODY)).status, 200);
});
after(() => rig[Symbol.asyncDispose]());

async function allIsWell(liveBytes: number): Promise<void> {
  assert.deepEqual((await rig.get('kept')).body, BODY);
  await until(async () => (await rig.liveBytes()) < liveBytes + SLACK_BYTES);
}

describe('headers', () => {
  test('that are too large', async () => {
    for (const more of [`x-amz-meta-big: ${'x'.repeat(100_000)}\r\n`, 'x-a: b\r\n'.repeat(20_000)]) {
      const socket = rig.connect();
      socket.write(`GET /${BUCKET}/kept HTTP/1.1\r\nhost: x\r\n${more}\r\n`);
      const answer = await allOf(socket);
      assert.match(answer, /^HTTP\/1\.1 400 [^]*<Code>RequestHeaderSectionTooLarge<\/Code>/);
    }
    await allIsWell(await rig.liveBytes());
  });

  test('of more metadata than 2 KB', async () => {
    const headers = { 'x-amz-meta-big': 'x'.repeat(2100) };
    const answer = await rig.call({ method: 'PUT', path: `/${BUCKET}/kept`, headers, body: Buffer.from('x') });
    assert.deepEqual([answer.status, answer.code], [400, 'MetadataTooLarge']);
    await allIsWell(await rig.liveBytes());
  });

  test('of sizes that are none', async () => {
    for (const length of ['-1', '1e3', '99999999999999999999', '0x10', ' ', '5, 6']) {
      const socket = rig.connect();
      socket.write(rig.putHead('kept', 0).replace(/content-length: 0/, `content-length: ${length}`));
      assert.match(await allOf(socket), /^HTTP\/1\.1 4\d\d |^$/, length);
    }
    const tooLarge = await rig.call({
      method: 'PUT',
      path: `/${BUCKET}/kept`,
      headers: { 'content-length': String(6 * 1024 ** 4) },
      payloadHash: 'UNSIGNED-PAYLOAD',
    });
    assert.deepEqual([tooLarge.status, tooLarge.code], [400, 'EntityTooLarge']);
    await allIsWell(await rig.liveBytes());
  });
});

describe('bodies', () => {
  test('that stop coming are RequestTimeout, and what came is given back', async () => {
    const liveBytes = await rig.liveBytes();
    for (const size of [1000, LARGE_BYTES]) {
      const socket = rig.connect();
      socket.write(rig.putHead('kept', size));
      socket.write(Buffer.alloc(size / 2));
      assert.match(await allOf(socket), /^HTTP\/1\.1 400 [^]*<Code>RequestTimeout<\/Code>/);
      await allIsWell(liveBytes);
    }
  });

  test('that come slowly but do come are taken', async () => {
    const socket = rig.connect();
    const answer = allOf(socket);
    socket.write(rig.putHead('slow', 40).replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n'));
    for (let sent = 0; sent < 40; sent += 10) {
      socket.write(Buffer.alloc(10, 'x'));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.match(await answer, /^HTTP\/1\.1 200 /);
    assert.equal((await rig.get('slow')).body.length, 40);
  });

  test('whose client goes away half way leave nothing', async () => {
    const liveBytes = await rig.liveBytes();
    for (const size of [1000, 100_000, LARGE_BYTES]) {
      const socket = rig.connect();
      socket.on('error', () => socket.destroy());
      socket.write(rig.putHead('kept', size));
      await new Promise<void>((resolve) => socket.write(Buffer.alloc(size / 2), () => resolve()));
      socket.destroy();
      await allIsWell(liveBytes);
    }
  });

  test('of parts whose client goes away leave an upload without that part', async () => {
    const path = `/${BUCKET}/parts`;
    const started = await rig.call({ method: 'POST', path, query: { uploads: '' } });
    const uploadId = /<UploadId>([^<]+)/.exec(started.body.toString())?.[1] ?? '';
    const liveBytes = await rig.liveBytes();
    const signed = rig.sign({
      method: 'PUT',
      path,
      query: { partNumber: '1', uploadId },
      payloadHash: 'UNSIGNED-PAYLOAD',
      headers: { 'content-length': String(LARGE_BYTES) },
    });
    const lines = Object.entries(signed.headers).map(([name, values]) => `${name}: ${values.join(',')}\r\n`);
    const socket = rig.connect();
    socket.on('error', () => socket.destroy());
    socket.write(`PUT ${signed.rawPath}?${signed.rawQuery} HTTP/1.1\r\n${lines.join('')}\r\n`);
    await new Promise<void>((resolve) => socket.write(Buffer.alloc(LARGE_BYTES / 2), () => resolve()));
    socket.destroy();
    await allIsWell(liveBytes);
    const listed = await rig.call({ path, query: { uploadId } });
    assert.doesNotMatch(listed.body.toString(), /<Part>/);
  });
});

describe('garbage', () => {
  test('instead of requests is answered 4xx or with the end of the connection, and the site goes on', async () => {
    let state = 42;
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const head = rig.putHead('kept', 5);
    for (let round = 0; round < 300; round++) {
      const bytes = Buffer.from(head + 'xxxxx', 'latin1');
      // a good request in which some bytes are not what they were, or of which only noise is left
      const changes = round % 3 === 0 ? bytes.length : 1 + random(8);
      for (let i = 0; i < changes; i++) bytes[random(bytes.length)] = random(256);
      const socket = rig.connect();
      socket.end(bytes);
      const answer = await allOf(socket);
      assert.match(answer, /^$|^HTTP\/1\.1 (2\d\d|4\d\d|501) /, bytes.toString('latin1'));
    }
    assert.equal((await rig.put('after', Buffer.from('well'))).status, 200);
    assert.equal((await rig.get('after')).body.toString(), 'well');
  });
});
