/** Links as networks treat them: cut, altered, idle, restarted, one-way; and TLS. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import { describe, test } from 'node:test';

import type { IncomingCall, SkerryError } from '../../../core/contracts/index.ts';
import { rejectsWith } from '../../../harness/conformance/traits.ts';
import type { Options, TlsOptions } from '../../../plugins/transport-http/options.ts';
import { temporaryDirectory } from '../../support/plugin-deps.ts';
import { KEY, NONE, bytes, collect, nothing, optionsWith, siteWith } from './support.ts';

/** One frame, then nothing until the signal aborts. */
async function* waiting({ signal }: IncomingCall): AsyncGenerator<Uint8Array> {
  yield bytes(1);
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
}

/** A relay in front of `url` that may change what the server says, and counts connections. */
async function relay(url: string, change: (chunk: Buffer) => Buffer = (chunk) => chunk) {
  const { hostname, port } = new URL(url);
  const sockets = new Set<net.Socket>();
  const seen = { connections: 0, bytesDown: 0 };
  const server = net.createServer((near) => {
    seen.connections++;
    const far = net.connect(Number(port), hostname);
    for (const socket of [near, far]) sockets.add(socket.on('error', () => undefined));
    near.on('data', (chunk) => far.write(chunk)).on('close', () => far.destroy());
    far
      .on('close', () => near.destroy())
      .on('data', (chunk: Buffer) => {
        seen.bytesDown += chunk.length;
        near.write(change(chunk));
      });
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  const close = (): void => {
    cut();
    server.close();
  };
  return { url: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`, seen, cut, close };
}

interface Relayed {
  readonly link: { call(name: string, body: Uint8Array): AsyncIterable<Uint8Array> };
  readonly hop: Awaited<ReturnType<typeof relay>>;
}

async function relayed(
  serve: (call: IncomingCall) => AsyncIterable<Uint8Array>,
  body: (world: Relayed) => Promise<void>,
  { change, ...overrides }: Partial<Options> & { readonly change?: (chunk: Buffer) => Buffer } = {},
): Promise<void> {
  const a = await siteWith('a', optionsWith(overrides));
  const b = await siteWith('b', optionsWith(overrides), serve);
  const hop = await relay(b.address.url, change);
  try {
    await body({ link: a.transport.dial({ site: 'b', url: hop.url }), hop });
  } finally {
    await Promise.all([a.transport.close(), b.transport.close()]);
    hop.close();
  }
}

describe('a link', () => {
  test('that is cut rejects its calls, tells the server, and works again', async () => {
    const aborted = Promise.withResolvers<void>();
    const serve = async function* (call: IncomingCall): AsyncGenerator<Uint8Array> {
      if (call.name === 'wait') call.signal.addEventListener('abort', () => aborted.resolve());
      if (call.name === 'wait') yield* waiting(call);
    };
    await relayed(serve, async ({ link, hop }) => {
      const frames = link.call('wait', NONE)[Symbol.asyncIterator]();
      await frames.next();
      const next = rejectsWith('Unavailable', async () => frames.next());
      hop.cut();
      await Promise.all([next, aborted.promise]);
      assert.deepEqual(await collect(link.call('c', NONE)), []);
    });
  });

  test('that lay idle and died is replaced without the caller noticing', () =>
    relayed(nothing, async ({ link, hop }) => {
      for (let round = 0; round < 5; round++) {
        await collect(link.call('c', NONE));
        hop.cut();
        assert.deepEqual(await collect(link.call('c', NONE)), []);
      }
    }));

  test('is used again by the next call', () =>
    relayed(nothing, async ({ link, hop }) => {
      for (let call = 0; call < 20; call++) {
        await collect(link.call('c', NONE));
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.ok(hop.seen.connections <= 5, `${hop.seen.connections} connections for 20 calls one after another`);
    }));

  test('on which a byte is altered rejects with Unauthenticated, wherever the byte is in a frame', async () => {
    for (const text of ['needle-first', 'needle-second']) {
      const change = (chunk: Buffer): Buffer => {
        const at = chunk.indexOf(text);
        if (at >= 0) chunk[at] = 0x4e;
        return chunk;
      };
      const serve = async function* (): AsyncGenerator<Uint8Array> {
        yield* [Buffer.from('needle-first'), Buffer.from('needle-second')];
      };
      await relayed(serve, ({ link }) => rejectsWith('Unauthenticated', () => collect(link.call('c', NONE))), {
        change,
      });
    }
  });

  test('stays while the server only beats its heart, and breaks when it does not', async () => {
    const beats = { heartbeatMs: 20, idleTimeoutMs: 200 };
    const patient = async function* (): AsyncGenerator<Uint8Array> {
      await new Promise((resolve) => setTimeout(resolve, 600));
      yield bytes(1);
    };
    await relayed(patient, async ({ link }) => assert.equal((await collect(link.call('c', NONE))).length, 1), beats);
    let heads = 0;
    const change = (chunk: Buffer): Buffer => (heads++ === 0 ? chunk : Buffer.alloc(0));
    await relayed(waiting, ({ link }) => rejectsWith('Timeout', () => collect(link.call('c', NONE))), {
      change,
      ...beats,
    });
  });

  test('carries compressed frames and bodies where that pays', async () => {
    const text = Buffer.from('skerry '.repeat(20_000));
    for (const compression of ['zstd', 'gzip', 'none'] as const) {
      const serve = async function* (call: IncomingCall): AsyncGenerator<Uint8Array> {
        assert.equal(Buffer.compare(call.body, text), 0);
        yield text;
      };
      await relayed(
        serve,
        async ({ link, hop }) => {
          const [frame = NONE] = await collect(link.call('c', text));
          assert.equal(Buffer.compare(frame, text), 0);
          assert.equal(hop.seen.bytesDown < text.length / 10, compression !== 'none', `${hop.seen.bytesDown} bytes`);
        },
        { compression },
      );
    }
  });

  test('of a site that only dials out works, and carries its identity', async () => {
    const { listen: _listen, ...dialOut } = optionsWith({});
    const a = await siteWith('a', dialOut);
    const b = await siteWith('b', optionsWith({}), async function* ({ from }) {
      yield Buffer.from(from.origin);
    });
    assert.equal(a.address.url, '');
    const [frame] = await collect(a.transport.dial(b.address).call('c', NONE));
    assert.equal(Buffer.from(frame ?? NONE).toString(), 'a.0123456789abcdef');
    await Promise.all([a.transport.close(), b.transport.close()]);
  });

  test('to what is no URL, or with no identity, says so', async () => {
    const a = await siteWith('a', optionsWith({}));
    for (const url of ['memory://x/b', 'b:9100', '', 'http://user:x@127.0.0.1:1', 'ftp://b'])
      await rejectsWith('InvalidArgument', () => collect(a.transport.dial({ site: 'b', url }).call('c', NONE)));
    await a.transport.close();
  });
});

const OPENSSL = 'openssl';
const tool = (() => {
  try {
    return execFileSync(OPENSSL, ['version'], { stdio: 'pipe' }).toString();
  } catch {
    return undefined;
  }
})();

/** An authority, and two certificates for 127.0.0.1: one that it signed, one of a stranger. */
function certificates(directory: string) {
  const at = (name: string): string => path.join(directory, name);
  const openssl = (...args: string[]): void => void execFileSync(OPENSSL, args, { stdio: 'pipe', cwd: directory });
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  for (const name of ['ca', 'stranger'])
    openssl(
      'req',
      '-x509',
      ...curve,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
      '-subj',
      `/CN=${name}`,
      '-addext',
      'subjectAltName=IP:127.0.0.1',
    );
  const signed = [
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-addext',
    'subjectAltName=IP:127.0.0.1',
    '-addext',
    'basicConstraints=CA:FALSE',
  ];
  openssl('req', '-x509', ...curve, '-keyout', 'site.key', '-out', 'site.pem', '-subj', '/CN=site', ...signed);
  const caFile = at('ca.pem');
  return {
    mutual: { certFile: at('site.pem'), keyFile: at('site.key'), caFile, mutual: true },
    anonymous: { caFile, mutual: false },
    stranger: { certFile: at('stranger.pem'), keyFile: at('stranger.key'), caFile, mutual: false },
    trustsNobody: { certFile: at('site.pem'), keyFile: at('site.key'), caFile: at('stranger.pem'), mutual: false },
  } satisfies Record<string, TlsOptions>;
}

describe('TLS', { skip: tool === undefined ? 'openssl is not there to make certificates' : false }, () => {
  test('mutual TLS: with certificates it works, without, or with a stranger’s, it is Unavailable', async () => {
    const { path: directory, remove } = await temporaryDirectory();
    const { mutual, anonymous, stranger, trustsNobody } = certificates(directory);
    const b = await siteWith('b', optionsWith({ tls: mutual }), async function* () {
      yield bytes(1);
    });
    assert.match(b.address.url, /^https:/);
    const call = async (tls: TlsOptions | undefined, url = b.address.url): Promise<number> => {
      const { listen: _listen, ...dialOut } = optionsWith(tls === undefined ? {} : { tls });
      const a = await siteWith('a', dialOut);
      try {
        return (await collect(a.transport.dial({ site: 'b', url }).call('c', NONE))).length;
      } finally {
        await a.transport.close();
      }
    };
    try {
      assert.equal(await call(mutual), 1);
      for (const tls of [anonymous, stranger, trustsNobody, undefined])
        await rejectsWith('Unavailable', () => call(tls));
      await rejectsWith('Unavailable', () => call(mutual, b.address.url.replace('https', 'http')));
      assert.equal(await call(mutual), 1);
    } finally {
      await b.transport.close();
      await remove();
    }
  });
});

describe('options', () => {
  const cases: Readonly<Record<string, Partial<Options>>> = {
    'tls to listen with, but no certificate': { tls: { mutual: false } },
    'mutual tls that trusts nobody': { tls: { certFile: 'x', keyFile: 'x', mutual: true } },
    'a TLS file that does not exist': { tls: { certFile: '/none/x', keyFile: '/none/x', mutual: false } },
    'an idle time that heartbeats cannot keep up': { heartbeatMs: 1000, idleTimeoutMs: 1500 },
  };
  for (const [what, overrides] of Object.entries(cases)) {
    test(`${what} is InvalidConfig`, () => rejectsWith('InvalidConfig', () => siteWith('a', optionsWith(overrides))));
  }

  test('a port that is taken is Unavailable, and no use to try again', async () => {
    const a = await siteWith('a', optionsWith({}));
    const listen = { host: '127.0.0.1', port: Number(new URL(a.address.url).port) };
    await assert.rejects(siteWith('b', optionsWith({ listen, clusterKey: KEY })), (error: SkerryError) => {
      return error.code === 'Unavailable' && !error.retryable;
    });
    await a.transport.close();
  });
});
