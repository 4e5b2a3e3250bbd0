/** The simulated disk answers as the real file system does, and loses what a real one may lose. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isSkerryError } from '../../../core/contracts/index.ts';
import type { ErrorCode, FileSystem } from '../../../core/contracts/index.ts';
import { nodeFiles } from '../../../core/kernel/runtime/files.ts';
import { SimDisk } from '../../../harness/sim/disk.ts';
import { seeded } from '../../plugins/chunks-fs/fixture.ts';
import { temporaryDirectory } from '../../support/plugin-deps.ts';

const coded = (code: ErrorCode) => (error: unknown) => isSkerryError(error, code);
const bytes = (text: string): Buffer => Buffer.from(text);

/** One body, two arms. */
function onBoth(title: string, body: (files: FileSystem, directory: string) => Promise<void>): void {
  test(`${title}: simulated`, () => body(new SimDisk({ random: seeded(1) }), '/'));
  test(`${title}: real`, async () => {
    const { path, remove } = await temporaryDirectory();
    try {
      await body(nodeFiles, path);
    } finally {
      await remove();
    }
  });
}

suite('as the real file system', () => {
  onBoth('files keep what is written', async (files, directory) => {
    const name = `${directory}/d/a`;
    await assert.rejects(files.open(name, 'create'), coded('NotFound'));
    await files.mkdir(`${directory}/d`);
    await assert.rejects(files.open(name, 'update'), coded('NotFound'));
    const file = await files.open(name, 'create');
    await assert.rejects(files.open(name, 'create'), coded('AlreadyExists'));
    await file.write([bytes('ab'), bytes('cd')], 3);
    file.writeSync([bytes('x')], 0);
    assert.equal(await file.size(), 7);
    const into = Buffer.alloc(10, 0xff);
    assert.equal(await file.read(into, 0), 7);
    assert.equal(into.toString('latin1', 0, 7), 'x\0\0abcd');
    assert.equal(file.readSync(into, 7), 0);
    await file.truncate(4);
    await file.truncate(6);
    await file.sync();
    assert.deepEqual(Buffer.from((await files.readFile(name)) ?? []), bytes('x\0\0a\0\0'));
    await file.close();
    await file.close();
    await assert.rejects(file.size(), coded('Closed'));
    await assert.rejects(file.write([bytes('z')], 0), coded('Closed'));
    const reading = await files.open(name, 'read');
    await assert.rejects(reading.write([bytes('z')], 0), coded('Io'));
    await reading.close();
  });
  onBoth('names are listed, renamed and removed', async (files, directory) => {
    await files.mkdir(`${directory}/d`);
    for (const name of ['b', 'a']) await files.writeFileAtomic(`${directory}/d/${name}`, bytes(name));
    await files.writeFileAtomic(`${directory}/d/a`, bytes('again'));
    assert.deepEqual(await files.list(`${directory}/d`), ['a', 'b']);
    assert.deepEqual(await files.list(`${directory}/none`), []);
    await files.rename(`${directory}/d/a`, `${directory}/d/b`);
    assert.deepEqual(Buffer.from((await files.readFile(`${directory}/d/b`)) ?? []), bytes('again'));
    await assert.rejects(files.rename(`${directory}/d/a`, `${directory}/d/c`), coded('NotFound'));
    await files.remove(`${directory}/d/b`);
    await files.remove(`${directory}/d/b`);
    assert.equal(await files.stat(`${directory}/d/b`), undefined);
    assert.equal((await files.stat(`${directory}/d`))?.isDirectory, true);
    await files.syncDirectory(`${directory}/d`);
  });
});

suite('as a disk that fails', () => {
  test('a crash keeps what was synced, contents and names apart', async () => {
    const disk = new SimDisk({ random: seeded(1) });
    const kept = await disk.open('/kept', 'create');
    await kept.write([bytes('synced')], 0);
    await kept.sync();
    await disk.syncDirectory('/');
    await kept.write([bytes('SYN')], 0);
    const nameless = await disk.open('/nameless', 'create');
    await nameless.sync();
    disk.crash(0);
    assert.deepEqual(await disk.list('/'), ['kept']);
    assert.deepEqual(Buffer.from((await disk.readFile('/kept')) ?? []), bytes('synced'));
    await assert.rejects(kept.read(Buffer.alloc(1), 0), coded('Io'));
  });
  test('a failed sync loses its writes, and the next one does not bring them back', async () => {
    const disk = new SimDisk({ random: seeded(1) });
    const file = await disk.open('/a', 'create');
    await disk.syncDirectory('/');
    await file.write([bytes('x')], 0);
    disk.inject({ operation: 'sync', code: 'Io' });
    await assert.rejects(file.sync(), coded('Io'));
    await file.sync();
    disk.crash(1);
    assert.equal((await disk.stat('/a'))?.size, 0);
  });
  test('unsynced sectors survive one by one', async () => {
    const disk = new SimDisk({ random: seeded(2) });
    const file = await disk.open('/a', 'create');
    await disk.syncDirectory('/');
    await file.write([Buffer.alloc(64 * 512, 1)], 0);
    disk.crash(0.5);
    const found = (await disk.readFile('/a')) ?? new Uint8Array(0);
    const sectors = Array.from({ length: Math.ceil(found.length / 512) }, (_, at) => found[at * 512] ?? 0);
    const survived = sectors.filter((byte) => byte === 1).length;
    assert.ok(survived > 10 && survived < 54, `${survived} of 64 sectors`);
  });
  test('a full disk cuts a write short, and faults come when they are due', async () => {
    const disk = new SimDisk({ random: seeded(1), capacityBytes: 10 });
    const file = await disk.open('/a', 'create');
    await assert.rejects(file.write([bytes('12345678'), bytes('12345678')], 0), coded('OutOfSpace'));
    assert.equal(await file.size(), 10);
    assert.equal((await disk.space('/')).freeBytes, 0);
    disk.inject({ operation: 'read', code: 'Io', path: /a$/u, after: 1, times: 1 });
    await file.read(Buffer.alloc(1), 0);
    await assert.rejects(file.read(Buffer.alloc(1), 0), coded('Io'));
    await file.read(Buffer.alloc(1), 0);
  });
});
