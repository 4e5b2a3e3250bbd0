/** The pages hold: links lead somewhere, every command in them exists with its flags, and the tour of the README really runs. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { GROUPS } from '../core/cli/main.ts';
import { scratch, serve, serveAsConfigured, skerry, type Serving } from './cli/command.ts';
import { shell, withoutClients } from './cli/shell.ts';
import { moveToFreePorts } from './support/free-ports.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PAGES = globSync(['*.md', 'docs/**/*.md', 'plugins/*/README.md'], { cwd: ROOT }).sort();

interface Fence {
  readonly page: string;
  /** `sh`, `sh tour`, `yaml` */
  readonly info: string;
  readonly text: string;
}

function fences(page: string): readonly Fence[] {
  const found = readFileSync(join(ROOT, page), 'utf8').matchAll(/^```(\S.*)\n([\s\S]*?)^```$/gm);
  return [...found].map(([, info = '', body = '']) => ({ page, info, text: body }));
}

const SHELL = PAGES.flatMap(fences).filter(({ info }) => /^sh\b/.test(info));

/** Lines of all pages that call the command, by command and flags: the same call is looked up once. */
function calls(): ReadonlyMap<string, readonly string[]> {
  const lines = SHELL.flatMap((fence) => fence.text.split('\n'));
  const called = lines.flatMap((line) => /^(?:npm run -s skerry --|skerry) +([^#|>&]+)/.exec(line)?.[1]?.trim() ?? []);
  return new Map(called.map((call) => [call, call.split(/\s+/)]));
}

/** The leading words that are commands. */
function commandOf(words: readonly string[]): readonly string[] {
  return words.slice(0, GROUPS.has(words[0] ?? '') ? 2 : 1);
}

describe('pages', () => {
  test('links lead somewhere', () => {
    const broken = PAGES.flatMap((page) => {
      const links = readFileSync(join(ROOT, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g);
      const targets = [...links].map(([, target = '']) => target);
      return targets.filter((target) => !existsSync(join(ROOT, dirname(page), target))).map((to) => `${page}: ${to}`);
    });
    assert.deepEqual(broken, []);
  });

  test('docs/README.md leads to every page', () => {
    const index = readFileSync(join(ROOT, 'docs/README.md'), 'utf8');
    const pages = globSync('*.md', { cwd: join(ROOT, 'docs') }).filter((page) => page !== 'README.md');
    assert.deepEqual(
      pages.filter((page) => !index.includes(`(${page})`)),
      [],
    );
  });

  test('every command in them exists and knows its flags', async () => {
    const all = calls();
    assert.ok(all.size >= 20);
    const helps = new Map<string, string>();
    for (const words of all.values()) {
      const command = commandOf(words).join(' ');
      if (helps.has(command)) continue;
      const { code, stdout } = await skerry([...command.split(' '), '--help'], { cwd: ROOT });
      assert.equal(code, 0, command);
      assert.match(stdout, new RegExp(`skerry ${command}\\b`), command);
      helps.set(command, stdout);
    }
    for (const [call, words] of all) {
      const help = helps.get(commandOf(words).join(' ')) ?? '';
      for (const flag of words.filter((word) => /^--?[a-z]/.test(word))) {
        assert.match(help, new RegExp(`(^|[ ,])${flag}\\b`, 'm'), `skerry ${call}`);
      }
    }
  });
});

const skip = withoutClients('aws', 'rclone', 'curl');
const COMMAND = `skerry() { "${process.execPath}" "${join(ROOT, 'core/cli.ts')}" "$@"; }`;

const readme = (info: string): readonly string[] =>
  SHELL.filter((fence) => fence.page === 'README.md' && fence.info === info).map(({ text }) => text);

async function runs(script: string, cwd: string): Promise<string> {
  const { code, output } = await shell(`set -euo pipefail\n${COMMAND}\n${script}`, cwd);
  assert.equal(code, 0, output);
  return output;
}

describe('the tour of README.md', { skip }, () => {
  test('runs as it stands, on the real clients', async () => {
    const [tour = '', ...more] = readme('sh tour');
    assert.deepEqual(more, []);
    const { path: cwd, remove } = scratch();
    const site = await serve({ cwd });
    try {
      const script = tour.replaceAll('http://127.0.0.1:9000', site.url);
      assert.ok(script.includes(site.url));
      const output = await runs(script, cwd);
      assert.match(output, /"IsLatest": false/, 'the overwritten version is listed');
      assert.match(output, /\nsecond\n/, 'the presigned link gives the object');
      assert.match(output, /viewer +ro +enabled/);
      assert.match(output, /running \(process \d+\), ready/);
    } finally {
      await site.end();
      remove();
    }
  });

  test('several sites: files, two terminals, a third one', async () => {
    const [prepare = '', terminals = '', use = '', ...more] = readme('sh sites');
    assert.deepEqual(more, []);
    const { path: cwd, remove } = scratch();
    const serving: Serving[] = [];
    try {
      symlinkSync(join(ROOT, 'examples'), join(cwd, 'examples'));
      await runs(prepare, cwd);
      const moved = await moveToFreePorts(join(cwd, 'sites'));
      for (const [, file = ''] of terminals.matchAll(/^skerry serve -c (\S+)$/gm))
        serving.push(await serveAsConfigured({ cwd }, '-c', file));
      assert.equal(serving.length, 2);
      const output = await runs(moved(use), cwd);
      assert.match(output, /from Warsaw\n/, 'read in Berlin');
      assert.match(output, /ber\.txt\n.*waw\.txt\n/, 'both are listed in Warsaw');
      assert.match(output, /^ber +connected +0 /m);
      const digests = [...output.matchAll(/^digest +([0-9a-f]{64})$/gm)].map(([, digest]) => digest);
      assert.deepEqual([digests.length, new Set(digests).size], [2, 1]);
    } finally {
      await Promise.all(serving.map((site) => site.end()));
      remove();
    }
  });
});
