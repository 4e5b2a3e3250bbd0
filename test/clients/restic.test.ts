import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';

import { digestTree, programs, runClient, skipWithout, startSiteWithTree, type SiteWithTree } from './support.ts';

const [program = 'restic'] = programs('restic');

describe('restic', { skip: skipWithout('restic', programs('restic').length > 0) }, () => {
  let site: SiteWithTree;
  before(async () => {
    site = await startSiteWithTree();
  });
  after(() => site.stop());

  const restic = (...args: string[]): Promise<string> => {
    const env = { ...site.env, RESTIC_PASSWORD: 'test', RESTIC_REPOSITORY: `s3:${site.endpoint}/restic-repo` };
    return runClient(program, args, { env, cwd: site.workDir });
  };

  test('backs up twice, checks every byte, restores', async () => {
    await restic('init');
    await restic('backup', 'source');
    await appendFile(join(site.source, 'plain.txt'), 'more');
    await restic('backup', 'source');
    assert.match(await restic('check', '--read-data'), /no errors were found/);
    const target = join(site.workDir, 'restored');
    await restic('restore', 'latest', '--target', target);
    assert.deepEqual(await digestTree(join(target, 'source')), await digestTree(site.source));
  });

  test('forgets, prunes, and is still whole', async () => {
    await restic('forget', '--keep-last', '1', '--prune');
    assert.equal((JSON.parse(await restic('snapshots', '--json')) as unknown[]).length, 1);
    assert.match(await restic('check', '--read-data'), /no errors were found/);
  });
});
