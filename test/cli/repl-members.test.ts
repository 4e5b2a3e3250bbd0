/** repl-members: on two running sites, and on the data of a stopped one. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import type { MemberInfo } from '../../core/contracts/index.ts';
import { openExample, type Example } from '../support/example-sites.ts';
import { skerry, skerryFails, skerryJson } from './command.ts';

describe('repl-members', () => {
  let example: Example;
  const run = (site: string, ...args: readonly string[]) => [...args, '-c', example.site(site).file];
  const list = (site: string): Promise<readonly MemberInfo[]> =>
    skerryJson(run(site, 'repl-members', 'list'), { cwd: example.cwd });
  const brief = async (site: string) => (await list(site)).map(({ site: name, state, self }) => [name, state, self]);

  before(async () => {
    example = await openExample('two-sites');
    await example.site('waw').start();
    await example.site('ber').start();
    await skerryJson(run('ber', 'repl-pull', 'waw'), { cwd: example.cwd });
    await skerryJson(run('ber', 'repl-push', 'waw'), { cwd: example.cwd });
  });
  after(() => example.close());

  test('lists both at both, and on the data of a site that is stopped', async () => {
    assert.deepEqual(await brief('waw'), [
      ['ber', 'member', false],
      ['waw', 'member', true],
    ]);
    assert.deepEqual(await brief('ber'), [
      ['ber', 'member', true],
      ['waw', 'member', false],
    ]);
    await example.site('ber').stop();
    const { stdout } = await skerry(run('ber', 'repl-members', 'list'), { cwd: example.cwd });
    assert.match(
      stdout,
      /^SITE +ORIGIN +STATE +JOINED +LAST REPORT +OPS\nber +ber\.[0-9a-f]{16} +member, this site +2/,
    );
  });

  test('removes nobody by accident, nor the site that is asked, nor who is not there', async () => {
    const remove = (...args: readonly string[]) => run('waw', 'repl-members', 'remove', ...args);
    const where = { cwd: example.cwd };
    const unsaid = await skerryFails(remove('ber'), where, 2);
    assert.match(`${unsaid.message} ${unsaid.hint ?? ''}`, /only ber has is given up.*--yes/);
    assert.equal((await skerryFails(remove('waw', '--yes'), where)).code, 'InvalidArgument');
    assert.equal((await skerryFails(remove('nowhere', '--yes'), where)).code, 'NotFound');
    assert.ok((await list('waw')).every(({ state }) => state === 'member'));
  });

  test('a removed one is listed as such, with who did it', async () => {
    const removed = await skerry(run('waw', 'repl-members', 'remove', 'ber', '--yes'), { cwd: example.cwd });
    assert.match(removed.stdout, /^removed ber\.[0-9a-f]{16}\n$/);
    const { stdout } = await skerry(run('waw', 'repl-members', 'list'), { cwd: example.cwd });
    assert.match(stdout, /\nber +ber\.[0-9a-f]{16} +removed 2\S+ \S+Z by waw /);
    const [ber] = await list('waw');
    assert.deepEqual([ber?.state, ber?.removedBy], ['removed', 'waw']);
    await skerryFails(run('waw', 'repl-members', 'remove', 'ber', '--yes'), { cwd: example.cwd });
  });
});
