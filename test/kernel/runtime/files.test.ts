import assert from 'node:assert/strict';
import fsp from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { isSkerryError } from '../../../core/contracts/index.ts';
import type { ErrorCode } from '../../../core/contracts/index.ts';
import { fileError, nodeFiles } from '../../../core/kernel/runtime/files.ts';

async function withDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await fsp.mkdtemp(path.join(os.tmpdir(), 'skerry-files-'));
  try {
    await run(directory);
  } finally {
    await fsp.rm(directory, { recursive: true, force: true });
  }
}

const coded = (code: ErrorCode) => (error: unknown) => isSkerryError(error, code);

test('errno values become coded errors', () => {
  const codes = { ENOSPC: 'OutOfSpace', EDQUOT: 'OutOfSpace', ENOENT: 'NotFound', EEXIST: 'AlreadyExists' } as const;
  const more = { EACCES: 'AccessDenied', EPERM: 'AccessDenied', EIO: 'Io', EMFILE: 'Io' } as const;
  for (const [errno, code] of Object.entries({ ...codes, ...more })) {
    const error = fileError(Object.assign(new Error(errno), { code: errno }), 'p');
    assert.equal(error.code, code);
    assert.deepEqual(error.details, { path: 'p', errno });
  }
});

test('a written file reads back, by pieces and blocking', async () => {
  await withDirectory(async (directory) => {
    const file = await nodeFiles.open(path.join(directory, 'a'), 'create');
    await file.write([Buffer.from('one'), new Uint8Array(0), Buffer.from('two')], 0);
    file.writeSync([Buffer.from('three'), Buffer.from('!')], 6);
    await file.sync();
    file.syncSync();
    assert.equal(await file.size(), 12);
    const into = Buffer.alloc(20);
    assert.equal(await file.read(into, 3), 9);
    assert.equal(into.toString('latin1', 0, 9), 'twothree!');
    assert.equal(file.readSync(into, 12), 0);
    await file.truncate(4);
    assert.equal(file.readSync(into, 0), 4);
    await file.close();
  });
});

test('more pieces than one writev takes are all written', async () => {
  await withDirectory(async (directory) => {
    const pieces = Array.from({ length: 5000 }, (_, index) => Buffer.from(String(index % 10)));
    const file = await nodeFiles.open(path.join(directory, 'a'), 'create');
    await file.write(pieces, 0);
    file.writeSync(pieces, 5000);
    await file.close();
    const whole = Buffer.concat(pieces);
    assert.deepEqual(await nodeFiles.readFile(path.join(directory, 'a')), Buffer.concat([whole, whole]));
  });
});

test('a closed handle rejects Closed; close waits for running calls and is idempotent', async () => {
  await withDirectory(async (directory) => {
    const file = await nodeFiles.open(path.join(directory, 'a'), 'create');
    const writing = file.write([Buffer.alloc(1 << 20, 1)], 0);
    await Promise.all([file.close(), file.close()]);
    await writing;
    assert.equal((await nodeFiles.stat(path.join(directory, 'a')))?.size, 1 << 20);
    await assert.rejects(file.read(Buffer.alloc(1), 0), coded('Closed'));
    await assert.rejects(file.sync(), coded('Closed'));
    assert.throws(() => file.readSync(Buffer.alloc(1), 0), coded('Closed'));
    await file.close();
  });
});

test('open refuses what the mode forbids', async () => {
  await withDirectory(async (directory) => {
    const name = path.join(directory, 'a');
    await assert.rejects(nodeFiles.open(name, 'read'), coded('NotFound'));
    await assert.rejects(nodeFiles.open(name, 'update'), coded('NotFound'));
    await (await nodeFiles.open(name, 'create', { permissions: 0o640 })).close();
    assert.equal((await fsp.stat(name)).mode & 0o777, 0o640);
    await assert.rejects(nodeFiles.open(name, 'create'), coded('AlreadyExists'));
    const readOnly = await nodeFiles.open(name, 'read');
    await assert.rejects(readOnly.write([Buffer.from('x')], 0), coded('Io'));
    await readOnly.close();
  });
});

test('writeFileAtomic replaces whole files and leaves no temporary ones', async () => {
  await withDirectory(async (directory) => {
    const name = path.join(directory, 'a');
    const contents = Array.from({ length: 8 }, (_, index) => Buffer.alloc(10_000, index));
    await Promise.all(contents.map((content) => nodeFiles.writeFileAtomic(name, content)));
    const found = await nodeFiles.readFile(name);
    assert.ok(contents.some((content) => content.equals(found ?? new Uint8Array(0))));
    assert.deepEqual(await nodeFiles.list(directory), ['a']);
    await nodeFiles.mkdir(path.join(directory, 'b', 'c'));
    await assert.rejects(nodeFiles.writeFileAtomic(path.join(directory, 'b'), contents[0]!), coded('Io'));
    assert.deepEqual(await nodeFiles.list(directory), ['a', 'b']);
    await assert.rejects(nodeFiles.writeFileAtomic(path.join(directory, 'no', 'a'), contents[0]!), coded('NotFound'));
  });
});

test('directories: made with parents, listed in byte order, absent ones are empty', async () => {
  await withDirectory(async (directory) => {
    const inner = path.join(directory, 'x', 'y');
    await nodeFiles.mkdir(inner);
    await nodeFiles.mkdir(inner);
    for (const name of ['b', 'a', '\u{10000}', '\uffee'])
      await nodeFiles.writeFileAtomic(path.join(inner, name), Buffer.alloc(0));
    assert.deepEqual(await nodeFiles.list(inner), ['a', 'b', '\uffee', '\u{10000}']);
    assert.deepEqual(await nodeFiles.list(path.join(directory, 'none')), []);
    await nodeFiles.syncDirectory(inner);
    await assert.rejects(nodeFiles.syncDirectory(path.join(directory, 'none')), coded('NotFound'));
  });
});

test('stat, rename, remove, space', async () => {
  await withDirectory(async (directory) => {
    const name = path.join(directory, 'a');
    assert.equal(await nodeFiles.stat(name), undefined);
    assert.equal(await nodeFiles.readFile(name), undefined);
    await nodeFiles.writeFileAtomic(name, Buffer.alloc(5));
    assert.equal((await nodeFiles.stat(name))?.isDirectory, false);
    assert.equal((await nodeFiles.stat(directory))?.isDirectory, true);
    await nodeFiles.rename(name, path.join(directory, 'b'));
    await assert.rejects(nodeFiles.rename(name, path.join(directory, 'b')), coded('NotFound'));
    await nodeFiles.mkdir(path.join(directory, 'c'));
    for (const left of ['b', 'b', 'c', 'c']) await nodeFiles.remove(path.join(directory, left));
    assert.deepEqual(await nodeFiles.list(directory), []);
    const space = await nodeFiles.space(directory);
    assert.ok(space.freeBytes > 0 && space.totalBytes >= space.freeBytes);
  });
});
