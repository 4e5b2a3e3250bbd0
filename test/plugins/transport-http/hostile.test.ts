/** A hostile peer is refused and logged; nothing it sends changes, crashes or fills anything. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';

import type { IncomingCall, SkerryError } from '../../../core/contracts/index.ts';
import { rejectsWith } from '../../../harness/conformance/traits.ts';
import { sha256, signAnswer } from '../../../plugins/transport-http/signature.ts';
import {
  KEY,
  NONE,
  bytes,
  collect,
  creditFrame,
  headOf,
  httpChunk,
  identity,
  listeningLogger,
  nonceOf,
} from './support.ts';
import { nothing, optionsWith, rawSocket, signedHead, siteWith } from './support.ts';

/** `b`, which counts its calls; behind `body` it must still answer an honest caller. */
async function attacked(
  body: (b: {
    readonly url: string;
    readonly reasons: readonly unknown[];
    readonly calls: IncomingCall[];
  }) => Promise<void>,
  overrides: Parameters<typeof optionsWith>[0] = {},
): Promise<void> {
  const { logger, reasons } = listeningLogger();
  const calls: IncomingCall[] = [];
  const serve = async function* (call: IncomingCall): AsyncGenerator<Uint8Array> {
    calls.push(call);
    yield bytes(1);
    if (call.name === 'wait') await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
  };
  const b = await siteWith('b', optionsWith(overrides), serve, logger);
  const a = await siteWith('a', optionsWith({}));
  try {
    await body({ url: b.address.url, reasons, calls });
    assert.equal((await collect(a.transport.dial(b.address).call('honest', NONE))).length, 1);
  } finally {
    await Promise.all([a.transport.close(), b.transport.close()]);
  }
}

/** The head of a stream and the length of its first chunk. */
const FIRST_FRAME = /x-skerry-answer[^]*\r\n\r\n[0-9a-f]+\r\n/;

/** Status of the answer to a request that is sent as it stands, and ended. */
async function statusOf(url: string, request: string): Promise<number> {
  const { socket, until } = await rawSocket(url);
  socket.write(`${request}0\r\n\r\n`);
  const answer = await until(/\r\n\r\n/);
  socket.destroy();
  return Number(/^HTTP\/1.1 (\d{3})/.exec(answer)?.[1]);
}

describe('requests', () => {
  test('garbage bytes close the connection', () =>
    attacked(async ({ url, reasons }) => {
      for (const garbage of [
        Buffer.alloc(5000, 0xff),
        Buffer.from('\x16\x03\x01\x02\x00\x01'),
        Buffer.from('GET\r\n\r\n'),
      ]) {
        const { socket, closed } = await rawSocket(url);
        socket.write(garbage);
        await closed;
      }
      assert.deepEqual([...new Set(reasons)], ['garbage']);
      assert.equal(reasons.length, 1, 'each refusal has a line of its own: a flood fills the log');
    }));

  const heads: Readonly<Record<string, readonly [() => string, number, string]>> = {
    'no signature': [() => headOf('c', 'Bearer x'), 401, 'unsigned'],
    'a wrong key': [() => signedHead({}, { key: 'another key of that length' }).head, 401, 'bad-signature'],
    'a signature of another call': [() => signedHead().head.replace('/1/c ', '/1/d '), 401, 'bad-signature'],
    'an altered body hash': [() => signedHead().head.replace(/hash=../, 'hash=00'), 401, 'bad-signature'],
    'an altered origin': [() => signedHead().head.replace('from=a.', 'from=c.'), 401, 'bad-signature'],
    'a body that says it is huge': [() => signedHead({ sentBytes: 99_999_999 }).head, 401, 'unsigned'],
    'a stale time': [() => signedHead({ timeMs: Date.now() - 3_600_000 }).head, 401, 'stale'],
    'a time to come': [() => signedHead({ timeMs: Date.now() + 3_600_000 }).head, 401, 'stale'],
    'another site': [() => signedHead({ to: 'z' }).head, 421, 'other-site'],
    'a path-like name': [() => signedHead({}, { name: '../../etc' }).head, 400, 'bad-name'],
    'a path of its own': [() => signedHead().head.replace('/skerry/1/', '/admin/'), 404, 'no-such-path'],
    'another method': [() => signedHead().head.replace('POST', 'PUT'), 405, 'not-post'],
  };
  for (const [what, [head, status, reason]] of Object.entries(heads)) {
    test(`${what} is refused with ${status} and logged`, () =>
      attacked(async ({ url, reasons, calls }) => {
        assert.equal(await statusOf(url, head()), status);
        assert.deepEqual(reasons, [reason]);
        assert.equal(calls.length, 0);
      }));
  }

  test('a recorded request runs once', () =>
    attacked(async ({ url, reasons, calls }) => {
      const { head } = signedHead();
      const { socket, until } = await rawSocket(url);
      socket.write(head);
      await until(FIRST_FRAME);
      assert.equal(await statusOf(url, head), 401);
      assert.deepEqual([reasons, calls.length], [['replayed'], 1]);
      socket.destroy();
    }));

  test('a request recorded before a restart does not run behind it', async () => {
    const { head } = signedHead({ timeMs: Date.now() - 1 });
    await attacked(async ({ url, reasons }) => {
      assert.equal(await statusOf(url, head), 401);
      assert.deepEqual(reasons, ['stale']);
    });
  });

  test('when the memory for nonces is full, calls are put off, not let in', () =>
    rejectsWith('SlowDown', () =>
      attacked(
        async ({ url }) => {
          const statuses = [];
          for (let call = 0; call < 6; call++) statuses.push(await statusOf(url, signedHead().head));
          assert.deepEqual(statuses, [200, 200, 200, 200, 503, 503]);
        },
        { replayEntriesMax: 4 },
      ),
    ));

  test('a body that is not the signed one does not reach the server', () =>
    attacked(async ({ url, calls }) => {
      const { head } = signedHead({ sentBytes: 4, rawBytes: 4, hash: sha256(bytes(1, 2, 3, 4)) });
      const { socket, until } = await rawSocket(url);
      socket.write(Buffer.concat([Buffer.from(head), httpChunk(bytes(1, 2, 3, 5))]));
      assert.match(await until(/"code"/), /Unauthenticated/);
      socket.destroy();
      assert.equal(calls.length, 0);
    }));

  test('a body that unpacks to more than it says does not reach the server', () =>
    attacked(async ({ url, calls }) => {
      const bomb = zstdCompressSync(Buffer.alloc(16 * 1024 * 1024));
      const sizes = { sentBytes: bomb.length, rawBytes: 1000, encoding: 'zstd', hash: sha256(bomb) } as const;
      const { socket, until } = await rawSocket(url);
      socket.write(Buffer.concat([Buffer.from(signedHead(sizes).head), httpChunk(bomb)]));
      assert.match(await until(/"code"/), /Corrupt/);
      socket.destroy();
      assert.equal(calls.length, 0);
    }));

  for (const [what, frame] of Object.entries({
    'a frame that declares 4 GiB': bytes(7, 255, 255, 255, 255),
    'a frame type that callers have not': bytes(1, 0, 0, 0, 1, 0),
    'a frame without a right MAC': Buffer.concat([bytes(6, 0, 0, 0, 0), new Uint8Array(16)]),
  })) {
    test(`${what} ends the call at once`, () =>
      attacked(async ({ url, calls }) => {
        const { socket, until, closed } = await rawSocket(url);
        socket.write(signedHead({}, { name: 'wait' }).head);
        await until(FIRST_FRAME);
        socket.write(httpChunk(frame));
        await closed;
        assert.equal(calls[0]?.signal.aborted, true);
      }));
  }

  test('credit for frames that were not sent ends the call', () =>
    attacked(async ({ url, calls }) => {
      const { socket, until, closed } = await rawSocket(url);
      const { head, signed } = signedHead({}, { name: 'wait' });
      socket.write(head);
      const answer = await until(FIRST_FRAME);
      socket.write(httpChunk(creditFrame(signed, nonceOf(answer), 1_000_000)));
      await closed;
      assert.equal(calls[0]?.signal.aborted, true);
    }));

  test('who sends half a head, or half a body, is cut off', () =>
    attacked(
      async ({ url, calls }) => {
        const slow = await rawSocket(url);
        slow.socket.write('POST /skerry/1/c HTTP/1.1\r\nx-a: ');
        const stuck = await rawSocket(url);
        const hash = sha256(bytes(1, 2));
        stuck.socket.write(signedHead({ sentBytes: 2, rawBytes: 2, hash }).head);
        stuck.socket.write(httpChunk(bytes(1)));
        await Promise.all([slow.closed, stuck.closed]);
        assert.equal(calls.length, 0);
      },
      { headerTimeoutMs: 200, heartbeatMs: 50, idleTimeoutMs: 200 },
    ));
});

/** A server that answers every connection with `bytes`, then closes it, if told to. */
async function impostor(
  answer: (head: string) => readonly Uint8Array[],
  body: (url: string) => Promise<void>,
): Promise<void> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', (head) => {
      for (const piece of answer(head.toString('latin1'))) socket.write(piece);
      socket.end();
    });
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  try {
    await body(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

/** The head of an honest answer to the request, as one who knows the key could send it. */
function honestHead(request: string): Buffer {
  const [, text = '', mac = ''] = /Skerry1 (.*), mac=([0-9a-f]{64})/.exec(request) ?? [];
  const signed = { ...signedHead().signed, text, mac };
  const answer = signAnswer(KEY, signed, { status: 200, nonce: '0'.repeat(32), body: NONE });
  return Buffer.from(`HTTP/1.1 200 OK\r\nx-skerry-answer: ${answer}\r\nconnection: close\r\n\r\n`);
}

describe('answers', () => {
  const text = (value: string): Buffer => Buffer.from(value);
  const cases: Readonly<Record<string, readonly [SkerryError['code'], (head: string) => readonly Uint8Array[]]>> = {
    'no HTTP': ['Unavailable', () => [Buffer.alloc(300, 0xff)]],
    'a page of something else': ['Unauthenticated', () => [text('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi')]],
    'an unsigned refusal': ['Unauthenticated', () => [text('HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n')]],
    'an unsigned error': ['Unavailable', () => [text('HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n')]],
    'a forged error text': [
      'Unavailable',
      () => [
        text(
          'HTTP/1.1 503 No\r\ncontent-length: 64\r\n\r\n{"code":"NotFound","message":"","retryable":false,"details":{}}  ',
        ),
      ],
    ],
    'a huge refusal': [
      'Unavailable',
      () => [text('HTTP/1.1 500 No\r\nconnection: close\r\n\r\n'), Buffer.alloc(200_000)],
    ],
    'a stream that stops': ['Unavailable', (head) => [honestHead(head)]],
    'half a frame': ['Unavailable', (head) => [honestHead(head), bytes(1, 0, 0, 1, 0, 7)]],
    'a frame that declares 4 GiB': ['TooLarge', (head) => [honestHead(head), bytes(1, 255, 255, 255, 255)]],
    'a frame type that servers have not': ['Unavailable', (head) => [honestHead(head), bytes(7, 0, 0, 0, 4)]],
    'an end without a right MAC': [
      'Unauthenticated',
      (head) => [honestHead(head), bytes(4, 0, 0, 0, 0), new Uint8Array(16)],
    ],
  };
  for (const [what, [code, answer]] of Object.entries(cases)) {
    test(`${what} is ${code}`, async () => {
      const a = await siteWith('a', optionsWith({}));
      try {
        await impostor(answer, (url) =>
          rejectsWith(code, () => collect(a.transport.dial({ site: 'b', url }).call('c', NONE))),
        );
      } finally {
        await a.transport.close();
      }
    });
  }
});

describe('keys', () => {
  const call = async (
    ofA: Parameters<typeof optionsWith>[0],
    ofB: Parameters<typeof optionsWith>[0],
  ): Promise<number> => {
    const a = await siteWith('a', optionsWith(ofA));
    const b = await siteWith('b', optionsWith(ofB), async function* ({ from }) {
      assert.deepEqual(from, identity('a'));
      yield NONE;
    });
    try {
      return (await collect(a.transport.dial(b.address).call('c', NONE))).length;
    } finally {
      await Promise.all([a.transport.close(), b.transport.close()]);
    }
  };
  test('sites with different cluster keys do not talk', async () => {
    await rejectsWith('Unauthenticated', () => call({}, { clusterKey: 'another key that is long enough' }));
    await rejectsWith('Unauthenticated', () => call({ clusterKey: 'another key that is long enough' }, {}));
  });
  test('a key of two sites is used in place of the cluster key', async () => {
    const pair = 'a key that only a and b know';
    assert.equal(await call({ siteKeys: { b: pair } }, { siteKeys: { a: pair } }), 1);
    await rejectsWith('Unauthenticated', () => call({}, { siteKeys: { a: pair } }));
    await rejectsWith('Unauthenticated', () => call({ siteKeys: { b: pair } }, {}));
  });
  test('without any key nothing opens', async () => {
    const { clusterKey: _clusterKey, ...options } = optionsWith({});
    await rejectsWith('InvalidConfig', () => siteWith('a', options, nothing));
  });
});
