/** The admin gateway on real sockets: every route, the token, what it refuses, its files, how it ends. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { SkerryError } from '../../../core/contracts/index.ts';
import { nodeFiles } from '../../../core/kernel/runtime/files.ts';
import { nodeRandom } from '../../../core/kernel/runtime/random.ts';
import { nodeTimers } from '../../../core/kernel/runtime/timers.ts';
import { AdminGateway } from '../../../plugins/gateway-admin/admin-gateway.ts';
import type { Options } from '../../../plugins/gateway-admin/options.ts';
import { CALLS, type Sent } from './calls.ts';
import { fakeAdmin, type FakeAdmin } from './fake-admin.ts';

interface Got {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

let directory: string;
let fake: FakeAdmin;
let logged: string[];
const gateways: AdminGateway[] = [];

const socketPath = (): string => join(directory, 'admin.sock');
const token = (): string => readFileSync(join(directory, 'admin.token'), 'utf8').trim();

function makeGateway(options: Partial<Options> = {}, siteDir = directory): AdminGateway {
  const write = (fields: object, message: string): void => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const logger = { debug: write, info: write, warn: write, error: write, child: () => logger };
  const deps = {
    services: { admin: fake.admin },
    siteDir,
    files: nodeFiles,
    random: nodeRandom,
    timers: nodeTimers,
    logger,
  };
  const gateway = new AdminGateway(deps, { bodyMaxBytes: 1024, requestTimeoutMs: 5000, ...options });
  gateways.push(gateway);
  return gateway;
}

async function send(
  { method = 'GET', path, token: given = token(), body, headers = {} }: Sent,
  at?: string,
): Promise<Got> {
  const { promise, resolve, reject } = Promise.withResolvers<Got>();
  const target =
    at === undefined ? { socketPath: socketPath() } : { port: Number(new URL(at).port), host: '127.0.0.1' };
  const outgoing = request(
    {
      ...target,
      method,
      path,
      agent: false,
      headers: { ...(given === '' ? {} : { authorization: `Bearer ${given}` }), ...headers },
    },
    (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => (text += piece));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: (text === '' ? {} : JSON.parse(text)) as Got['body'] }),
      );
    },
  );
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'skerry-admin-'));
  fake = fakeAdmin(directory);
  logged = [];
});

afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.close();
  rmSync(directory, { recursive: true, force: true });
});

describe('routes', () => {
  const body = (value: unknown): string => JSON.stringify(value);
  test('each method of AdminService has one, and gets what was sent', async () => {
    await makeGateway().open();
    const status = await send({ path: '/v1/status' });
    assert.deepEqual(status, { status: 200, body: { site: 'waw', dataDir: directory, ready: true } });
    for (const [sent, code, answer, call] of CALLS) {
      const got = await send(sent);
      assert.deepEqual([got.status, got.body], [code, answer], `${sent.method ?? 'GET'} ${sent.path}`);
      assert.deepEqual(fake.calls.at(-1), call);
    }
    const called = new Set(fake.calls.map(([method]) => method));
    assert.deepEqual([...called].sort(), Object.keys(fake.admin).sort(), 'no method is left out');
  });

  test('malformed requests are InvalidArgument and reach nobody', async () => {
    await makeGateway().open();
    fake.calls.length = 0;
    const bad: readonly Sent[] = [
      { method: 'POST', path: '/v1/keys', body: '{' },
      { method: 'POST', path: '/v1/keys', body: '\xff' },
      { method: 'POST', path: '/v1/keys' },
      { method: 'POST', path: '/v1/keys', body: '[]' },
      { method: 'POST', path: '/v1/keys', body: body({}) },
      { method: 'POST', path: '/v1/keys', body: body({ policy: 'root' }) },
      { method: 'POST', path: '/v1/keys', body: body({ policy: ['rw'] }) },
      { method: 'POST', path: '/v1/keys', body: body({ policy: 'rw', userId: 7 }) },
      { method: 'POST', path: '/v1/keys', body: body({ policy: 'rw', usrId: 'x' }) },
      { method: 'PUT', path: '/v1/keys/AK/enabled', body: body({ enabled: 'false' }) },
      { method: 'PUT', path: '/v1/keys/%ff/enabled', body: body({ enabled: true }) },
      { method: 'DELETE', path: '/v1/keys/' },
      { method: 'POST', path: '/v1/buckets', body: body({ name: '' }) },
      { method: 'POST', path: '/v1/buckets', body: body({ name: 'b', versioning: 'yes' }) },
      { method: 'PUT', path: '/v1/buckets/b/settings/cors', body: body({}) },
    ];
    for (const sent of bad) {
      const got = await send(sent);
      assert.deepEqual([got.status, got.body['code']], [400, 'InvalidArgument'], `${sent.path} ${sent.body ?? ''}`);
    }
    assert.deepEqual(fake.calls, []);
  });

  test('unknown paths are 404, known ones with another method 405', async () => {
    await makeGateway().open();
    for (const path of ['/', '/v1', '/v1/keys/AK/enabled/x', '/v1/../v1/status', '*']) {
      assert.equal((await send({ path })).status, 404, path);
    }
    const got = await send({ method: 'PATCH', path: '/v1/keys' });
    assert.deepEqual([got.status, got.body['details']], [405, { allow: 'GET, POST' }]);
  });
});

describe('errors', () => {
  test('a SkerryError keeps code, message and details', async () => {
    await makeGateway().open();
    fake.instead.removeBucket = async () => {
      throw new SkerryError('BucketNotEmpty', 'bucket b holds 3 objects', { details: { bucket: 'b' } });
    };
    assert.deepEqual(await send({ method: 'DELETE', path: '/v1/buckets/b' }), {
      status: 409,
      body: { code: 'BucketNotEmpty', message: 'bucket b holds 3 objects', retryable: false, details: { bucket: 'b' } },
    });
    assert.deepEqual(logged, []);
  });

  test('anything else is logged and tells the client nothing', async () => {
    await makeGateway().open();
    fake.instead.listKeys = async () => {
      throw new TypeError('undefined is not the inside');
    };
    const got = await send({ path: '/v1/keys' });
    assert.deepEqual([got.status, got.body['code']], [500, 'Internal']);
    assert.doesNotMatch(JSON.stringify(got.body), /inside/);
    assert.equal(logged.length, 1);
  });

  test('a body beyond the limit is TooLarge, announced or not', async () => {
    await makeGateway().open();
    fake.calls.length = 0;
    const long = JSON.stringify({ policy: 'rw', displayName: 'x'.repeat(2000) });
    for (const headers of [{ 'content-length': String(long.length) }, { 'transfer-encoding': 'chunked' }]) {
      const got = await send({ method: 'POST', path: '/v1/keys', body: long, headers });
      assert.deepEqual([got.status, got.body['code']], [413, 'TooLarge']);
    }
    assert.deepEqual(fake.calls, []);
  });
});

describe('token', () => {
  test('without the right one nothing is answered', async () => {
    await makeGateway().open();
    fake.calls.length = 0;
    const right = token();
    const wrong = [
      '',
      'x',
      right.slice(0, -1),
      `${right}0`,
      right.toUpperCase(),
      `${right.startsWith('0') ? '1' : '0'}${right.slice(1)}`,
    ];
    for (const given of wrong) {
      const got = await send({ path: '/v1/status', token: given });
      assert.deepEqual([got.status, got.body['code']], [401, 'Unauthenticated'], given);
    }
    const basic = await send({ path: '/v1/status', token: '', headers: { authorization: `Basic ${right}` } });
    assert.equal(basic.status, 401);
    assert.deepEqual(fake.calls, []);
  });

  test('socket and token belong to their owner alone; the token outlives a restart', async () => {
    await makeGateway().open();
    const first = token();
    assert.match(first, /^[0-9a-f]{64}$/);
    for (const name of ['admin.sock', 'admin.token']) {
      assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
    }
    await gateways[0]!.close();
    await makeGateway().open();
    assert.equal(token(), first);
  });

  test('a token file that is not one of ours is replaced, one that others can read is closed', async () => {
    writeFileSync(join(directory, 'admin.token'), 'secret\n', { mode: 0o644 });
    await makeGateway().open();
    assert.match(token(), /^[0-9a-f]{64}$/);
    assert.equal(statSync(join(directory, 'admin.token')).mode & 0o777, 0o600);
  });
});

describe('socket', () => {
  test('one left by a killed process is replaced', async () => {
    const script = `require('node:net').createServer().listen(${JSON.stringify(socketPath())}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['--eval', script]);
    assert.ok(existsSync(socketPath()), 'the killed process left its socket');
    const gateway = makeGateway();
    await gateway.open();
    assert.equal((await send({ path: '/v1/status' })).status, 200);
    assert.deepEqual(gateway.addresses(), [`unix:${socketPath()}`]);
  });

  test('one that somebody answers on is left alone', async () => {
    await makeGateway().open();
    await assert.rejects(makeGateway().open(), { code: 'Locked' });
    assert.equal((await send({ path: '/v1/status' })).status, 200);
  });

  test('a file that is no socket is left alone', async () => {
    writeFileSync(socketPath(), 'mine');
    await assert.rejects(makeGateway().open(), { code: 'AlreadyExists' });
    assert.equal(readFileSync(socketPath(), 'utf8'), 'mine');
  });

  test('a path that no socket can have is refused with a hint', async () => {
    const long = join(directory, 'x'.repeat(120));
    await nodeFiles.mkdir(long);
    await assert.rejects(makeGateway({}, long).open(), { code: 'InvalidConfig', message: /admin\.enabled: false/ });
  });

  test('a TCP address answers too, with the same token', async () => {
    const gateway = makeGateway({ listen: { host: '127.0.0.1', port: 0 } });
    await gateway.open();
    const url = gateway.addresses()[1] ?? '';
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.equal((await send({ path: '/v1/status' }, url)).status, 200);
    assert.equal((await send({ path: '/v1/status', token: 'x' }, url)).status, 401);
  });

  test('a taken TCP port fails the start and leaves no socket', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const holder = createServer().listen(0, '127.0.0.1', resolve);
    await promise;
    try {
      const { port } = holder.address() as { port: number };
      await assert.rejects(makeGateway({ listen: { host: '127.0.0.1', port } }).open(), { code: 'Unavailable' });
      assert.equal(existsSync(socketPath()), false);
    } finally {
      holder.close();
    }
  });
});

describe('ending', () => {
  test('drain lets a running call finish; then nobody answers and the socket is gone', async () => {
    const gateway = makeGateway();
    await gateway.open();
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    const { promise: gate, resolve: release } = Promise.withResolvers<void>();
    fake.instead.listKeys = async () => {
      reach();
      await gate;
    };
    const running = send({ path: '/v1/keys' });
    await reached;
    const draining = gateway.drain(60_000);
    await assert.rejects(send({ path: '/v1/status' }), { code: /ECONNREFUSED|ENOENT/ });
    release();
    assert.equal((await running).status, 200);
    await draining;
    await gateway.close();
    assert.equal(existsSync(socketPath()), false);
    assert.deepEqual(gateway.addresses(), []);
  });

  test('drain breaks what still runs after the grace time', async () => {
    const gateway = makeGateway();
    await gateway.open();
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    const { promise: gate, resolve: release } = Promise.withResolvers<void>();
    fake.instead.listKeys = async () => {
      reach();
      await gate;
    };
    const broken = assert.rejects(send({ path: '/v1/keys' }), { code: 'ECONNRESET' });
    await reached;
    await gateway.drain(1);
    await broken;
    release();
  });

  test('close is idempotent, also before open', async () => {
    const gateway = makeGateway();
    await gateway.close();
    await gateway.drain(1);
    await gateway.open();
    await gateway.close();
    await gateway.close();
  });
});
