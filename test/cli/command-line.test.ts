/** What the command line itself answers: help, version, wrong usage, completion. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';

import packageJson from '../../package.json' with { type: 'json' };
import { scratch, skerry, skerryFails } from './command.ts';

const { path: cwd, remove } = scratch();
after(remove);

const COMMANDS = [
  'serve',
  'init',
  'config check',
  'config show',
  'config schema',
  'plugins list',
  'plugins info',
  'bucket list',
  'bucket create',
  'bucket info',
  'bucket delete',
  'bucket versioning',
  'bucket policy',
  'key list',
  'key create',
  'key info',
  'key enable',
  'key disable',
  'key policy',
  'key delete',
  'status',
  'rebuild-index',
] as const;

describe('help', () => {
  test('lists every command', async () => {
    const { code, stdout } = await skerry(['--help'], { cwd });
    assert.equal(code, 0);
    for (const name of new Set(COMMANDS.map((command) => command.split(' ')[0]))) {
      assert.match(stdout, new RegExp(`skerry ${name}`));
    }
  });

  test('of each command has an example', async () => {
    const all = await Promise.all(COMMANDS.map(async (command) => skerry([...command.split(' '), '--help'], { cwd })));
    for (const [at, { code, stdout }] of all.entries()) {
      assert.equal(code, 0, COMMANDS[at]);
      assert.match(stdout, new RegExp(`Examples:\n +skerry ${COMMANDS[at]}`), COMMANDS[at]);
    }
  });

  test('the version is that of the package', async () => {
    assert.deepEqual(await skerry(['--version'], { cwd }), { code: 0, stdout: `${packageJson.version}\n`, stderr: '' });
  });
});

describe('wrong usage ends with 2 and one sentence', () => {
  const table: readonly (readonly [args: readonly string[], message: RegExp, hint: RegExp])[] = [
    [[], /which command/, /--help/],
    [['buket', 'list'], /unknown command: buket list/, /did you mean bucket\?/],
    [['bucket', 'lst'], /unknown command: bucket lst/, /did you mean list\?/],
    [['bucket'], /bucket needs a command/, /--help/],
    [['bucket', 'create'], /Not enough .*arguments/, /^skerry bucket create --help/],
    [['status', '--colour'], /Unknown argument: colour/, /^skerry status --help/],
    [
      ['repl-conflicts', 'resolve', 'b', 'k'],
      /Missing required argument: choose/,
      /^skerry repl-conflicts resolve --help/,
    ],
    [['bucket', 'versioning', 'b', 'on'], /Invalid values/, /--help/],
    [['status', '-c'], /Not enough arguments following: c/, /--help/],
    [['plugins', 'info', 'memory'], /memory is a meta-store, a chunk-store/, /--kind/],
    [['plugins', 'info', 'nothing-like-it'], /there is no plugin called nothing-like-it/, /meta-store sqlite/],
    [['key', 'create', '--policy', 'no-such-file'], /cannot read no-such-file/, /admin, rw, ro/],
  ];
  for (const [args, message, hint] of table) {
    test(`skerry ${args.join(' ')}`, async () => {
      const error = await skerryFails(args, { cwd }, 2);
      assert.equal(error.code, 'Usage');
      assert.match(error.message, message);
      assert.match(error.hint ?? '', hint);
    });
  }

  test('for people: sentence and hint on standard error, nothing else', async () => {
    const { code, stdout, stderr } = await skerry(['buket'], { cwd });
    assert.deepEqual([code, stdout], [2, '']);
    assert.equal(stderr, 'skerry: unknown command: buket\nhint: did you mean bucket?\n');
  });
});

describe('completion', () => {
  test('the script names the command', async () => {
    const { code, stdout } = await skerry(['completion'], { cwd, env: { SHELL: '/bin/bash' } });
    assert.equal(code, 0);
    assert.match(stdout, /complete .*_skerry_yargs_completions skerry/);
  });

  test('words come from the commands', async () => {
    const { stdout } = await skerry(['--get-yargs-completions', 'skerry', 'bucket', ''], { cwd });
    for (const word of ['list', 'create', 'delete'])
      assert.ok(stdout.split('\n').some((line) => line.startsWith(word)));
  });
});
