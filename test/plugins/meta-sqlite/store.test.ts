/** What meta-sqlite promises beyond the contract: whose file it opens, how failures are coded, what the log does. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { META_SPACES, type SkerryError, type MetaStore, type MetaWrite } from '../../../core/contracts/index.ts';
import { rejectsWith } from '../../../harness/conformance/traits.ts';
import { toSkerryError } from '../../../plugins/meta-sqlite/errors.ts';
import plugin from '../../../plugins/meta-sqlite/index.ts';
import type { Options } from '../../../plugins/meta-sqlite/options.ts';
import { defaultOptions, pluginDeps, temporaryDirectory } from '../../support/plugin-deps.ts';

const KEY = (name: string | number): Uint8Array => new TextEncoder().encode(String(name));
const put = (name: string | number, value: Uint8Array): MetaWrite => ({ space: 'heads', key: KEY(name), value });

async function commit(store: MetaStore, ...writes: MetaWrite[]): Promise<void> {
  await store.transact({}, () => ({ kind: 'write', writes, result: undefined }));
}

async function names(store: MetaStore): Promise<string[]> {
  const rows = await store.scan({ space: 'heads', limit: 10_000 });
  return rows.map(({ key }) => new TextDecoder().decode(key));
}

interface World {
  readonly path: string;
  readonly file: string;
  /** Another store over the same file; closed at the end of the test. */
  readonly create: (overrides?: Partial<Options>) => MetaStore;
}

async function inWorld(body: (world: World) => Promise<void>): Promise<void> {
  const { path, remove } = await temporaryDirectory();
  const stores: MetaStore[] = [];
  const create = (overrides: Partial<Options> = {}): MetaStore => {
    const store = plugin.create(pluginDeps(path), defaultOptions<Options>(plugin.options, overrides));
    stores.push(store);
    return store;
  };
  try {
    await body({ path, file: join(path, 'meta.sqlite'), create });
  } finally {
    for (const store of stores) await store.close();
    await remove();
  }
}

async function opened(world: World, overrides: Partial<Options> = {}): Promise<MetaStore> {
  const store = world.create(overrides);
  await store.open();
  return store;
}

/** Runs `act` with a plain connection that the store knows nothing of. */
function withSqlite<T>(file: string, act: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(file);
  try {
    return act(db);
  } finally {
    db.close();
  }
}

test('the file is what the design says: one table a space, keyed by bytes, marked as ours', () =>
  inWorld(async (world) => {
    const store = await opened(world);
    await commit(store, put('a', KEY('{"json":true}')));
    await store.close();
    withSqlite(world.file, (db) => {
      const tables = db.prepare('SELECT name, wr FROM pragma_table_list WHERE schema = ? AND name NOT LIKE ?');
      const found = tables.all('main', 'sqlite%') as { name: string; wr: number }[];
      assert.deepEqual(found.map(({ name }) => name).toSorted(), [...META_SPACES].toSorted());
      assert.ok(
        found.every(({ wr }) => wr === 1),
        'every table is WITHOUT ROWID',
      );
      assert.equal(db.prepare('PRAGMA journal_mode').get()?.['journal_mode'], 'wal');
      assert.equal(db.prepare('PRAGMA application_id').get()?.['application_id'], 0x536b7279);
      assert.equal(db.prepare('SELECT CAST(v AS TEXT) AS text FROM heads').get()?.['text'], '{"json":true}');
    });
  }));

test('a file of a newer version, of another program, or that is no database is refused and left alone', () =>
  inWorld(async (world) => {
    await (await opened(world)).close();
    withSqlite(world.file, (db) => db.exec('PRAGMA user_version = 99'));
    await assert.rejects(world.create().open(), ({ code, message, details }: SkerryError) => {
      return code === 'NotSupported' && message.includes('newer') && details['found'] === 99;
    });
    withSqlite(join(world.path, 'other.sqlite'), (db) => db.exec('CREATE TABLE recipes (name TEXT)'));
    await rejectsWith('InvalidConfig', () => world.create({ fileName: 'other.sqlite' }).open());
    await writeFile(join(world.path, 'text.sqlite'), 'this is a text of more than sixteen bytes\n'.repeat(200));
    await rejectsWith('Corrupt', () => world.create({ fileName: 'text.sqlite' }).open());
    assert.match(await readFile(join(world.path, 'text.sqlite'), 'utf8'), /^this is a text/);
    await mkdir(join(world.path, 'folder.sqlite'));
    await rejectsWith('Io', () => world.create({ fileName: 'folder.sqlite' }).open());
  }));

test('tables of spaces that are new since the file was made are added', () =>
  inWorld(async (world) => {
    await (await opened(world)).close();
    withSqlite(world.file, (db) => db.exec('DROP TABLE queues'));
    const store = await opened(world);
    await store.transact({}, () => ({ kind: 'write', writes: [{ ...put('a', KEY('')), space: 'queues' }], result: 0 }));
    assert.equal((await store.scan({ space: 'queues', limit: 1 })).length, 1);
  }));

test('a file that is full refuses with OutOfSpace, keeps the old state and goes on', () =>
  inWorld(async (world) => {
    const store = await opened(world, { maxBytes: 1024 * 1024 });
    await commit(store, put('old', KEY('1')));
    const large = new Uint8Array(300_000);
    const flood = Array.from({ length: 8 }, (_, index) => put(`big${index}`, large));
    await rejectsWith('OutOfSpace', () => commit(store, put('old', KEY('2')), ...flood));
    assert.deepEqual(await names(store), ['old']);
    assert.deepEqual(await store.get([{ space: 'heads', key: KEY('old') }]), [KEY('1')]);
    await commit(store, put('small', KEY('3')));
    assert.equal((await store.check()).ok, true);
  }));

test('a lock that another process holds is Unavailable after busyTimeoutMs, and reads go on', () =>
  inWorld(async (world) => {
    const store = await opened(world, { busyTimeoutMs: 0 });
    await commit(store, put('a', KEY('1')));
    const other = new DatabaseSync(world.file);
    other.exec("BEGIN IMMEDIATE; INSERT INTO heads VALUES (x'62', x'32')");
    await assert.rejects(commit(store, put('c', KEY('3'))), ({ code, retryable }: SkerryError) => {
      return code === 'Unavailable' && retryable;
    });
    assert.deepEqual(await names(store), ['a']);
    other.exec('COMMIT');
    other.close();
    await commit(store, put('c', KEY('3')));
    assert.deepEqual(await names(store), ['a', 'b', 'c']);
  }));

test('damage is found: by check as a problem, by a read as Corrupt', () =>
  inWorld(async (world) => {
    const store = await opened(world, { synchronous: 'off' });
    await commit(
      store,
      ...Array.from({ length: 500 }, (_, index) => put(`k${index}`, new Uint8Array(400).fill(index))),
    );
    await store.close();
    const { size } = await stat(world.file);
    const file = await open(world.file, 'r+');
    for (let page = 25; page < size / 4096; page++) await file.write(Buffer.alloc(64, 0xee), 0, 64, page * 4096);
    await file.close();
    const damaged = await opened(world);
    const report = await damaged.check();
    assert.equal(report.ok, false);
    assert.ok(report.problems.length > 0);
    await rejectsWith('Corrupt', () => damaged.scan({ space: 'heads', limit: 10_000 }));
  }));

test('check can be aborted while it runs, and close waits for its thread', () =>
  inWorld(async (world) => {
    const store = await opened(world);
    const abort = new AbortController();
    const checking = rejectsWith('Aborted', () => store.check(abort.signal));
    abort.abort();
    await checking;
    await store.close();
  }));

test('result codes of SQLite become the codes of the port', () => {
  const codes = {
    5: 'Unavailable',
    6: 'Unavailable',
    10: 'Io',
    1034: 'Io',
    8458: 'Corrupt',
    11: 'Corrupt',
    13: 'OutOfSpace',
  };
  for (const [errcode, code] of Object.entries({
    ...codes,
    14: 'Io',
    26: 'Corrupt',
    517: 'Unavailable',
    1: 'Internal',
  })) {
    const error = toSkerryError(Object.assign(new Error('said sqlite'), { errcode: Number(errcode) }), 'commit');
    assert.deepEqual([error.code, error.details], [code, { errcode: Number(errcode) }]);
  }
  assert.equal(toSkerryError(new TypeError('bug'), 'get').code, 'Internal');
});

test('the log is copied back while commits go on, and nothing is lost by it', () =>
  inWorld(async (world) => {
    const checkpointBytes = 256 * 1024;
    const store = await opened(world, { synchronous: 'off', checkpointBytes });
    let written = 0;
    for (let round = 0; round < 600; round++) {
      const writes = Array.from({ length: 16 }, (_, index) => put(`${round % 50}-${index}`, new Uint8Array(500)));
      await commit(store, ...writes);
      written += writes.length * 500;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await store.close();
    assert.ok(written > 4_000_000);
    await assert.rejects(stat(`${world.file}-wal`), { code: 'ENOENT' }, 'closing copies the log back and removes it');
    const again = await opened(world);
    assert.equal((await names(again)).length, 800);
  }));

const WRITER = fileURLToPath(new URL('writer-child.ts', import.meta.url));

/** A process that commits rows 0, 1, 2, ... and prints each number once its commit has resolved. */
function startWriter(path: string, shell?: string): { child: ChildProcess; lines: AsyncIterable<string> } {
  const command =
    shell === undefined ? [process.execPath, WRITER, path] : ['sh', '-c', shell, process.execPath, WRITER, path];
  const child = spawn(command[0] as string, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  return { child, lines: createInterface({ input: child.stdout as NodeJS.ReadableStream }) };
}

test('every commit that resolved survives SIGKILL', () =>
  inWorld(async (world) => {
    let last = -1;
    for (let life = 0; life < 3; life++) {
      const { child, lines } = startWriter(world.path);
      const exited = once(child, 'exit');
      for await (const line of lines) {
        last = Math.max(last, Number(line));
        if (last >= (life + 1) * 40) child.kill('SIGKILL');
      }
      await exited;
      const store = await opened(world);
      const found = new Set(await names(store));
      for (let number = 0; number <= last; number++) assert.ok(found.has(String(number)), `row ${number} is gone`);
      await store.close();
    }
  }));

test('a commit that the disk refuses is reported, leaves the old state, and later ones work', () =>
  inWorld(async (world) => {
    // The largest file that the child may write is 512 KiB (ulimit counts 512 bytes); node ignores SIGXFSZ, so writes fail.
    const { child, lines } = startWriter(world.path, 'ulimit -f 1024; exec "$0" "$@" 20000');
    const exited = once(child, 'exit');
    const printed: string[] = [];
    for await (const line of lines) printed.push(line);
    assert.deepEqual(await exited, [0, null]);
    const report = JSON.parse(printed.pop() ?? '') as { code: string; stateKept: boolean };
    assert.ok(report.code === 'Io' || report.code === 'OutOfSpace', report.code);
    assert.equal(report.stateKept, true);
    const store = await opened(world);
    const found = new Set(await names(store));
    for (const number of printed) assert.ok(found.has(number), `row ${number} was acknowledged and is gone`);
    assert.equal((await store.check()).ok, true);
    await commit(store, put('later', KEY('1')));
  }));
