/** init, config and plugins: no site is needed for them. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Ajv2020 } from 'ajv/dist/2020.js';

import { scratch, skerry, skerryFails, skerryJson } from './command.ts';

const { path: cwd, remove } = scratch();
after(remove);

function write(name: string, ...lines: readonly string[]): string {
  writeFileSync(join(cwd, name), `${lines.join('\n')}\n`);
  return name;
}

describe('init', () => {
  test('writes a configuration that is valid and changes no default', async () => {
    const { file } = await skerryJson<{ file: string }>(['init', 'new/site'], { cwd });
    assert.equal(file, 'new/site/skerry.yaml');
    assert.equal((await skerryJson<{ valid: boolean }>(['config', 'check', '-c', file], { cwd })).valid, true);
    const shown = await skerryJson<object>(['config', 'show', '-c', file], { cwd });
    const standard = await skerryJson<object>(['config', 'show', '--data-dir', 'new/site/data'], { cwd });
    assert.deepEqual(shown, standard);
  });

  test('its commented examples are valid too', async () => {
    const text = readFileSync(join(cwd, 'new/site/skerry.yaml'), 'utf8');
    const open = text.replace(
      /^( *)# (?=site:|identities:|seed:|transport:|replication:|  - |  clusterKey:|  peers:)/gm,
      '$1',
    );
    assert.notEqual(open, text);
    assert.match(open, /^ {2}transport: .*^replication:$.*^ {2}clusterKey: .*^ {2}peers: /ms);
    writeFileSync(join(cwd, 'open.yaml'), open);
    write('cluster.key', 'k'.repeat(32));
    const env = { WAW_SECRET: 'a-secret-of-warsaw' };
    const { code, stderr } = await skerry(['config', 'check', '-c', 'open.yaml'], { cwd, env });
    assert.deepEqual([code, stderr], [0, '']);
  });

  test('leaves a file that is there as it is', async () => {
    mkdirSync(join(cwd, 'mine'));
    write('mine/skerry.yaml', 'site: { id: mine }');
    const error = await skerryFails(['init', 'mine'], { cwd });
    assert.equal(error.code, 'AlreadyExists');
    assert.equal(readFileSync(join(cwd, 'mine/skerry.yaml'), 'utf8'), 'site: { id: mine }\n');
  });
});

describe('config', () => {
  test('every problem has file, line, column and a hint; exit code 2', async () => {
    write('bad.yaml', 'site: { id: waw }', 'plugins:', '  metaStor: { use: sqlite }', 'log:', '  level: loud');
    const { code, stdout, stderr } = await skerry(['config', 'check', '-c', 'bad.yaml'], { cwd });
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, /bad\.yaml:3:3: plugins\.metaStor: .*\(hint: did you mean metaStore\?\)/);
    assert.match(stderr, /bad\.yaml:5:10: log\.level: /);
    assert.doesNotMatch(stderr, / at .*\.ts:/, 'no stack trace');
  });

  test('as JSON the problems come one by one', async () => {
    const error = await skerryFails(['config', 'check', '-c', 'bad.yaml'], { cwd }, 2);
    assert.equal(error.code, 'InvalidConfig');
    const { problems } = error.details as { problems: readonly { key: string; source: object }[] };
    assert.deepEqual(problems[0]?.source, { kind: 'file', file: 'bad.yaml', line: 3, column: 3 });
    assert.equal(problems.length, 2);
  });

  test('a file that is not there, and a file that is no YAML', async () => {
    assert.match((await skerryFails(['config', 'check', '-c', 'none.yaml'], { cwd }, 2)).message, /does not exist/);
    write('torn.yaml', 'site: { id: waw');
    assert.match((await skerryFails(['serve', '-c', 'torn.yaml'], { cwd }, 2)).message, /^torn\.yaml:\d+:\d+: /);
  });

  test('a wrong flag and a wrong variable are named', async () => {
    const flag = await skerryFails(['config', 'show', '--set', 'log.level=loud'], { cwd }, 2);
    assert.match(flag.message, /^--set log\.level: /);
    const variable = await skerryFails(['config', 'show'], { cwd, env: { SKERRY__log__level: 'loud' } }, 2);
    assert.match(variable.message, /^SKERRY__log__level: /);
  });

  test('show: file, then variables, then flags; secrets are redacted', async () => {
    const file = write(
      'site.yaml',
      'site: { id: waw }',
      'plugins:',
      '  auth:',
      '    use: sigv4',
      '    identities: [{ accessKey: WAW, secretKey: do-not-show-this, policy: admin }]',
    );
    const env = { SKERRY_DATA_DIR: 'from-env', SKERRY_CONFIG: file, SKERRY_LISTEN: '127.0.0.1:1' };
    const args = ['config', 'show', '--listen', '127.0.0.1:2', '--set', 'log.level=warn'];
    const plain = await skerry(args, { cwd, env });
    assert.equal(plain.code, 0, plain.stderr);
    assert.match(plain.stdout, /id: waw\n/);
    assert.match(plain.stdout, /listen: 127\.0\.0\.1:2\n/);
    assert.match(plain.stdout, /level: warn\n/);
    assert.match(plain.stdout, /dataDir: .*\/from-env\n/);
    const json = await skerry([...args, '--json'], { cwd, env });
    const sources = await skerryJson<Record<string, string>>([...args, '--sources'], { cwd, env });
    assert.equal(sources['site.id'], 'site.yaml:1:13');
    assert.equal(sources['log.level'], '--set log.level');
    assert.equal(sources['dataDir'], 'SKERRY_DATA_DIR');
    assert.doesNotMatch(plain.stdout + json.stdout, /do-not-show-this/);
  });

  test('schema: a JSON Schema that takes the starter file and refuses a misspelt key', async () => {
    const { code, stdout } = await skerry(['config', 'schema'], { cwd });
    assert.equal(code, 0);
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(JSON.parse(stdout) as object);
    assert.equal(validate({ site: { id: 'waw' }, plugins: { metaStore: { use: 'sqlite' } } }), true);
    assert.equal(validate({ sit: { id: 'waw' } }), false);
    assert.equal(validate({ plugins: { metaStore: { use: 'sqlite', synchronos: 'full' } } }), false);
  });
});

describe('plugins', () => {
  before(() => {
    write(
      'mine.mjs',
      'export default Object.freeze({',
      "  kind: 'conflict-resolver', name: 'mine', contract: 1, supports: {},",
      "  options: { type: 'object', additionalProperties: false, properties: { depth: { type: 'integer', default: 3 } } },",
      '  create: () => ({}),',
      '});',
    );
    write('plugins.yaml', 'plugins: { conflictResolver: { use: ./mine.mjs } }');
  });

  test('list: what the configuration uses, and where each comes from', async () => {
    const found = await skerryJson<readonly Record<string, string>[]>(['plugins', 'list', '-c', 'plugins.yaml'], {
      cwd,
    });
    const from = Object.fromEntries(found.map(({ name, from: at }) => [name, at]));
    assert.equal(from['meta-sqlite'], 'shipped');
    assert.equal(from['mine'], join(cwd, 'mine.mjs'));
    const { stdout } = await skerry(['plugins', 'list'], { cwd });
    assert.match(stdout, /^SECTION +KIND +PLUGIN +FROM\nplugins\.metaStore +meta-store +meta-sqlite +shipped\n/);
  });

  test('info: by short name, full name, kind, path', async () => {
    for (const [asked, name] of [
      [['sqlite'], 'meta-sqlite'],
      [['chunks-fs'], 'chunks-fs'],
      [['memory', '--kind', 'chunk-store'], 'chunks-memory'],
      [['./mine.mjs'], 'mine'],
    ] as const) {
      const info = await skerryJson<{ name: string }>(['plugins', 'info', ...asked], { cwd });
      assert.equal(info.name, name);
    }
    const { stdout } = await skerry(['plugins', 'info', './mine.mjs'], { cwd });
    assert.match(stdout, /OPTION +TYPE +DEFAULT +MEANING\ndepth +integer +3/);
  });
});
