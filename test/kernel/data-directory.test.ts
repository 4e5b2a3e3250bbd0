/** The data directory: made once, locked while in use, and never taken for another site's. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rename, rm, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openDataDirectory } from '../../core/kernel/data-directory.ts';
import { createNodeRuntime } from '../../core/kernel/runtime/index.ts';
import { nodeHost, type FileIdentity } from '../../core/kernel/runtime/lock.ts';
import { memoryLogger } from './fixtures/logger.ts';

const { runtime, close } = createNodeRuntime(memoryLogger().logger);
let root = '';
let count = 0;

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'skerry-data-'));
});
after(async () => {
  await rm(root, { recursive: true });
  await close();
});

const fresh = (): string => join(root, `d${count++}`, 'data');
const open = (path: string, siteId?: string) =>
  openDataDirectory({ path, runtime, host: nodeHost, ...(siteId === undefined ? {} : { siteId }) });

describe('first start', () => {
  test('makes directory, identity and key, for the owner alone, and keeps them', async () => {
    const path = fresh();
    const first = await open(path);
    first.release();
    const modes = await Promise.all(
      ['', 'site.json', 'master.key'].map(async (name) => (await stat(join(path, name))).mode & 0o777),
    );
    assert.deepEqual(modes, [0o700, 0o600, 0o600]);
    assert.match(first.site, /^site-[0-9a-f]{6}$/);
    assert.match(first.incarnation, /^[0-9a-f]{16}$/);
    assert.equal(first.masterKey.length, 32);
    const second = await open(path);
    second.release();
    assert.deepEqual(
      [second.site, second.incarnation, [...second.masterKey]],
      [first.site, first.incarnation, [...first.masterKey]],
    );
  });

  test('takes the id that is asked for, and refuses another later', async () => {
    const path = fresh();
    (await open(path, 'waw')).release();
    (await open(path, 'waw')).release();
    await assert.rejects(open(path, 'ber'), {
      code: 'InvalidConfig',
      message: /^site\.id: is ber, but .* belongs to site waw/,
    });
    (await open(path)).release();
  });
});

describe('copies', () => {
  test('a copied directory is another origin from its first start on; the original and a moved one stay who they are', async () => {
    const path = fresh();
    const original = await open(path, 'waw');
    original.release();
    const copied = fresh();
    await cp(path, copied, { recursive: true, preserveTimestamps: true });
    const copy = await open(copied, 'waw');
    copy.release();
    assert.deepEqual([copy.site, copy.isCopy], ['waw', true]);
    assert.notEqual(copy.incarnation, original.incarnation);
    assert.deepEqual([...copy.masterKey], [...original.masterKey]);
    const again = await open(copied);
    again.release();
    assert.deepEqual([again.incarnation, again.isCopy], [copy.incarnation, false]);
    const moved = fresh();
    await mkdir(dirname(moved), { recursive: true });
    await rename(path, moved);
    const same = await open(moved);
    same.release();
    assert.deepEqual([same.incarnation, same.isCopy], [original.incarnation, false]);
  });

  test('the same files on another machine are a copy; what a system cannot tell counts neither way', async () => {
    const path = fresh();
    const openOn = async (identity: Partial<FileIdentity>) => {
      const host = { ...nodeHost, identifyFile: () => ({ inode: '7', ...identity }) };
      const opened = await openDataDirectory({ path, runtime, host });
      opened.release();
      return opened.isCopy;
    };
    assert.equal(await openOn({ machine: 'one', bornNs: '1' }), false);
    assert.equal(await openOn({}), false);
    assert.equal(await openOn({ machine: 'one' }), false);
    assert.equal(await openOn({ machine: 'two' }), true);
    assert.equal(await openOn({ machine: 'two' }), false);
    assert.equal(await openOn({ inode: '8' }), true);
  });

  test('a backup without the marker is a copy', async () => {
    const path = fresh();
    const first = await open(path);
    first.release();
    await unlink(join(path, 'marker'));
    const second = await open(path);
    second.release();
    assert.equal(second.isCopy, true);
    assert.notEqual(second.incarnation, first.incarnation);
  });
});

describe('damage', () => {
  test('a damaged record, a lost key and a short key are named, and the lock is given back', async () => {
    const path = fresh();
    (await open(path)).release();
    const key = await readFile(join(path, 'master.key'));
    await truncate(join(path, 'master.key'), 5);
    await assert.rejects(open(path), { code: 'Corrupt', message: /master\.key must be 32 bytes, it is 5/ });
    await unlink(join(path, 'master.key'));
    await assert.rejects(open(path), { code: 'Corrupt', message: /master\.key is missing/ });
    await writeFile(join(path, 'master.key'), key);
    const record = await readFile(join(path, 'site.json'));
    await writeFile(join(path, 'site.json'), '{"format":1,"site":"../x"}');
    await assert.rejects(open(path), { code: 'Corrupt', message: /site\.json is damaged/ });
    await writeFile(join(path, 'site.json'), record);
    (await open(path)).release();
  });
});

describe('lock', () => {
  const HOLDER = `
    import { nodeHost } from ${JSON.stringify(new URL('../../core/kernel/runtime/lock.ts', import.meta.url).href)};
    nodeHost.lockDirectory(process.argv[1]);
    gc(); // nobody refers to the lock: it must hold all the same
    console.log('locked');
    process.stdin.resume();
  `;

  test('the same process is refused while it holds the directory', async () => {
    const path = fresh();
    const held = await open(path);
    await assert.rejects(open(path), {
      code: 'Locked',
      message: `data directory ${path} is in use by process ${process.pid}`,
    });
    held.release();
    held.release();
    (await open(path)).release();
  });

  test('a second process is refused with the pid of the first, until that is killed', async () => {
    const path = fresh();
    (await open(path)).release();
    const holder = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', HOLDER, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      await once(holder.stdout, 'data');
      await assert.rejects(open(path), (error: { code: string; message: string; details: object }) => {
        assert.equal(error.code, 'Locked');
        assert.deepEqual(error.details, { path, pid: holder.pid });
        assert.ok(error.message.endsWith(`in use by process ${holder.pid}`));
        return true;
      });
    } finally {
      const ended = once(holder, 'exit');
      holder.kill('SIGKILL');
      await ended;
    }
    (await open(path)).release();
  });
});
