/** What npm would publish: built from the sources, linted, packed, installed in an empty folder, type-checked and run there. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, globSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

import packageJson from '../package.json' with { type: 'json' };

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const READY_WITHIN_MS = 30_000;

const scratch = join(tmpdir(), `skerry-package-${process.pid}`);
/** A copy of the sources: building in the checkout would disturb whoever works there. */
const sources = join(scratch, 'sources');
const consumer = join(scratch, 'consumer');

/** npm's own settings of the surrounding `npm test` must not steer the npm that runs inside. */
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_TEST|SKERRY)/i.test(name))),
  PATH: [join(ROOT, 'node_modules/.bin'), process.env['PATH']].join(delimiter),
};

function run(cwd: string, command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: 'utf8' });
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}

function buildAndInstall(): void {
  mkdirSync(sources, { recursive: true });
  const parts = ['core', 'plugins', 'harness', '.ci', 'tsconfig.json', '.tsconfig.build.json', 'package.json'];
  const pages = ['README.md', 'LICENSE', 'CHANGELOG.md'];
  for (const part of [...parts, ...pages]) cpSync(join(ROOT, part), join(sources, part), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(sources, 'node_modules'));
  run(sources, 'npm', 'run', '--silent', 'build');
  run(sources, 'npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', scratch);
  mkdirSync(consumer);
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const tarball = join(scratch, `skerry-${packageJson.version}.tgz`);
  run(consumer, 'npm', 'install', '--silent', '--no-audit', '--no-fund', '--prefer-offline', tarball);
}

/** Every name a consumer may import, found on disk behind the patterns of `exports`. */
function importable(): readonly string[] {
  const dist = join(consumer, 'node_modules/skerry/dist');
  const kits = globSync('harness/conformance/*.js', { cwd: dist }).map((path) =>
    path.replace(/^harness\/(.*)\.js$/, 'skerry/$1'),
  );
  const plugins = globSync('plugins/*/index.js', { cwd: dist }).map(
    (path) => `skerry/${path.replace('/index.js', '')}`,
  );
  assert.ok(kits.length > 0 && plugins.length > 0);
  return ['skerry', 'skerry/contracts', 'skerry/harness', ...kits, ...plugins];
}

/** `skerry serve` on a free port, with its data beside it; resolves to its URL once it says that it is ready. */
async function serve() {
  const child = spawn(join(consumer, 'node_modules/.bin/skerry'), ['serve', '--listen', '127.0.0.1:0'], {
    cwd: consumer,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_WITHIN_MS);
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    const url = /\bready\b/.test(line) ? /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0] : undefined;
    if (url === undefined) continue;
    clearTimeout(timer);
    child.stdout.resume();
    return { child, url };
  }
  clearTimeout(timer);
  throw new Error(`skerry serve did not become ready:\n${said.join('\n')}`);
}

describe('the published package', () => {
  before(buildAndInstall);
  after(() => rmSync(scratch, { recursive: true, force: true }));

  test('publint has nothing to say', async () => {
    const { messages, pkg } = await publint({ pkgDir: sources, strict: true });
    assert.deepEqual(
      messages.map((message) => formatMessage(message, pkg ?? {})),
      [],
    );
  });

  test('it carries no sources and no tests', () => {
    const files = globSync('**/*', { cwd: join(consumer, 'node_modules/skerry') });
    assert.deepEqual(
      files.filter((path) => /(?<!\.d)\.ts$|\.test\./.test(path)),
      [],
    );
    assert.ok(files.includes('README.md') && files.includes('LICENSE'));
  });

  test('every export can be imported', () => {
    const names = importable();
    const script = `for (const name of ${JSON.stringify(names)}) await import(name);`;
    run(consumer, 'node', '--input-type=module', '--eval', script);
  });

  test('what was built runs where it was built', () => {
    const out = run(sources, 'node', 'dist/core/cli.js', 'plugins', 'list', '--json');
    assert.match(out, /meta-sqlite/);
  });

  test('its types serve a plugin author', () => {
    const lines = importable().map((name, at) => `import * as m${at} from '${name}';\nexport const x${at} = m${at};`);
    writeFileSync(join(consumer, 'author.ts'), `${lines.join('\n')}\n`);
    const types = ['--typeRoots', join(ROOT, 'node_modules/@types'), '--types', 'node'];
    const strict = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'esnext'];
    run(consumer, 'tsc', ...strict, ...types, 'author.ts');
  });

  test('the command says its version', () => {
    assert.match(run(consumer, 'node_modules/.bin/skerry', '--version'), new RegExp(packageJson.version));
  });

  test('the command serves, answers, and stops when told', { timeout: 2 * READY_WITHIN_MS }, async () => {
    const { child, url } = await serve();
    try {
      assert.equal((await fetch(`${url}/-/health/live`)).status, 200);
      assert.equal((await fetch(`${url}/a-bucket`, { method: 'PUT' })).status, 403, 'an unsigned request is refused');
    } finally {
      child.kill('SIGTERM');
    }
    const [code] = (await once(child, 'exit')) as [number | null];
    assert.equal(code, 0);
  });
});
