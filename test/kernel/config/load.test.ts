/** Precedence, defaults, secrets, and where each value came from. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { describeSource } from '../../../core/kernel/config/problems.ts';
import { loadConfig } from '../../../core/kernel/config/load.ts';
import { filesWith, loadText, PLUGIN_LINES } from '../fixtures/config.ts';
import { CONFIG_PLUGINS, optionsOnly } from '../fixtures/plugins.ts';

const SEED = 20_261_122;

describe('precedence', () => {
  /** One setting of each type: its key, how the file spells a value, and values to choose from. */
  const settings = [
    { key: 'shutdown.graceMs', values: fc.integer({ min: 0, max: 3_600_000 }), fallback: 10_000 },
    { key: 'log.level', values: fc.constantFrom('debug', 'info', 'warn', 'error', 'silent'), fallback: 'info' },
    { key: 'site.id', values: fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,31}$/), fallback: undefined },
    { key: 'plugins.metaStore.nested.flag', values: fc.boolean(), fallback: true },
    { key: 'plugins.metaStore.size', values: fc.integer({ min: 1, max: 1e9 }), fallback: 7 },
    { key: 'plugins.chunkStore.listen', values: fc.stringMatching(/^[1-9][0-9]{0,8}$/), fallback: undefined },
  ] as const;

  const layers = fc.tuple(
    ...settings.map(({ key, values, fallback }) =>
      fc.record({
        key: fc.constant(key),
        fallback: fc.constant(fallback),
        file: fc.option(values as fc.Arbitrary<number | string | boolean>, { nil: undefined }),
        env: fc.option(values as fc.Arbitrary<number | string | boolean>, { nil: undefined }),
        flag: fc.option(values as fc.Arbitrary<number | string | boolean>, { nil: undefined }),
      }),
    ),
  );

  test('flags over environment over file over defaults, for every combination', async () => {
    const property = fc.asyncProperty(layers, async (drawn) => {
      const file: Record<string, unknown> = {};
      const env: Record<string, string> = {};
      const set: string[] = [];
      for (const one of drawn) {
        if (one.file !== undefined) file[one.key] = one.file;
        if (one.env !== undefined) env[`SKERRY__${one.key.replaceAll('.', '__')}`] = String(one.env);
        if (one.flag !== undefined) set.push(`${one.key}=${String(one.flag)}`);
      }
      const loaded = await loadText([JSON.stringify(nest(file))], { env, flags: { set } });
      for (const one of drawn) {
        const [kind, want] = [
          ['flag', one.flag],
          ['env', one.env],
          ['file', one.file],
          ['default', one.fallback],
        ].find(([, value]) => value !== undefined) ?? ['default', undefined];
        assert.deepEqual(pick(loaded.config, one.key), want, one.key);
        if (want !== undefined) assert.equal(loaded.sources[one.key]?.kind, kind, one.key);
      }
    });
    await fc.assert(property, { seed: SEED, numRuns: 60 });
  });

  test('among variables and flags: named, then any key; --listen, then --set', async () => {
    const env = { SKERRY_LISTEN: '127.0.0.1:1', SKERRY_DATA_DIR: '/a', SKERRY__dataDir: '/b' };
    const listenOf = async (input: Parameters<typeof loadText>[1]) =>
      pick((await loadText(PLUGIN_LINES, input)).config, 'plugins.gateways.0.listen');
    assert.equal((await loadText(PLUGIN_LINES, { env })).config.dataDir, '/b');
    assert.equal(await listenOf({ env }), '127.0.0.1:1');
    const general = { ...env, SKERRY__plugins__gateways__0__listen: '127.0.0.1:2' };
    assert.equal(await listenOf({ env: general }), '127.0.0.1:2');
    assert.equal(await listenOf({ env: general, flags: { listen: ':3' } }), ':3');
    assert.equal(await listenOf({ env, flags: { listen: ':3', set: ['plugins.gateways.0.listen=:4'] } }), ':4');
  });

  function nest(flat: Readonly<Record<string, unknown>>): object {
    const root: Record<string, never> = {};
    const plugins = {
      metaStore: { use: 'test-meta' },
      chunkStore: { use: 'test-chunks' },
      conflictResolver: { use: 'test-resolver' },
      auth: { use: 'test-auth' },
      gateways: [],
    };
    const tree: Record<string, unknown> = { ...root, plugins };
    for (const [key, value] of Object.entries(flat)) {
      const path = key.split('.');
      let node = tree;
      for (const segment of path.slice(0, -1)) node = (node[segment] ??= {}) as Record<string, unknown>;
      node[path.at(-1) ?? ''] = value;
    }
    return tree;
  }

  function pick(root: unknown, key: string): unknown {
    return key
      .split('.')
      .reduce<unknown>((node, segment) => (node as Record<string, unknown> | undefined)?.[segment], root);
  }
});

describe('effective configuration', () => {
  test('every key is optional and defaults come from the schemas', async () => {
    const { config, plugins } = await loadText(PLUGIN_LINES);
    assert.equal(config.dataDir, '/nowhere/config/data');
    assert.deepEqual(config.shutdown, { graceMs: 10_000 });
    assert.deepEqual(config.replication, { peers: [], previousClusterKeys: [] });
    assert.deepEqual(config.plugins.metaStore, { use: 'test-meta', size: 7, nested: { flag: true, words: [] } });
    assert.deepEqual(plugins.metaStore.options, { size: 7, nested: { flag: true, words: [] } });
    assert.equal(plugins.transport, undefined);
  });

  test('an empty file and none are the same, and name the shipped plugins', async () => {
    const plugins = {
      ...CONFIG_PLUGINS,
      sqlite: optionsOnly('meta-store', 'sqlite'),
      fs: optionsOnly('chunk-store', 'fs'),
      lww: optionsOnly('conflict-resolver', 'lww'),
      sigv4: optionsOnly('auth', 'sigv4'),
      admin: optionsOnly('gateway', 'admin'),
    };
    const input = { env: {}, cwd: '/nowhere', files: filesWith({ '/nowhere/empty.yaml': '' }), plugins };
    const none = await loadConfig(input);
    const empty = await loadConfig({ ...input, file: 'empty.yaml' });
    assert.deepEqual(empty.config, none.config);
    const used = [
      none.plugins.metaStore,
      none.plugins.chunkStore,
      none.plugins.conflictResolver,
      none.plugins.auth,
      ...none.plugins.gateways,
    ];
    assert.deepEqual(
      used.map(({ use }) => use),
      ['sqlite', 'fs', 'lww', 'sigv4', 's3', 'admin'],
    );
    assert.equal(none.config.dataDir, '/nowhere/data');
  });

  test('an address becomes host and port for the plugin', async () => {
    const loaded = await loadText(PLUGIN_LINES, { env: { SKERRY_LISTEN: '[::1]:8080' } });
    assert.deepEqual(loaded.plugins.gateways[0]?.options, { listen: { host: '::1', port: 8080 }, region: 'us-east-1' });
    const all = await loadText(PLUGIN_LINES.with(6, '    - { use: s3, listen: ":80" }'));
    assert.deepEqual(all.plugins.gateways[0]?.options['listen'], { host: '0.0.0.0', port: 80 });
    const standard = await loadText(PLUGIN_LINES.with(6, '    - { use: s3 }'));
    assert.deepEqual(standard.plugins.gateways[0]?.options['listen'], { host: '127.0.0.1', port: 9000 });
  });

  test('it is frozen all the way down', async () => {
    const { config, plugins } = await loadText(PLUGIN_LINES);
    assert.ok(
      Object.isFrozen(config) &&
        Object.isFrozen(config.plugins.gateways) &&
        Object.isFrozen(config.plugins.metaStore['nested']),
    );
    assert.ok(Object.isFrozen(plugins.metaStore.options['nested']));
  });

  test('secrets come from text, variables and files, and are shown to nobody', async () => {
    const lines = [
      ...PLUGIN_LINES.with(1, '  metaStore: { use: test-meta, password: { file: pw } }'),
      'replication: { clusterKey: { env: CLUSTER_KEY } }',
      'seed: { rootAccessKey: ROOT, rootSecretKey: plain-secret }',
    ];
    const loaded = await loadText(lines, {
      env: { CLUSTER_KEY: 'key of all' },
      texts: { '/nowhere/config/pw': 'from file\r\n' },
    });
    assert.equal(loaded.plugins.metaStore.options['password'], 'from file');
    assert.equal(loaded.config.replication.clusterKey, 'key of all');
    assert.equal(loaded.config.seed.rootSecretKey, 'plain-secret');
    const shown = JSON.stringify(loaded.shown);
    for (const secret of ['from file', 'key of all', 'plain-secret']) assert.ok(!shown.includes(secret), secret);
    assert.ok(shown.includes('{"env":"CLUSTER_KEY"}') && shown.includes('[redacted]'));
  });

  test('text stays text where text is asked for', async () => {
    const set = [
      'plugins.chunkStore.listen=0123',
      'plugins.auth.identities=[{accessKey: AAA, secretKey: secret-AAA, account: "000000000001"}]',
    ];
    const { config } = await loadText(PLUGIN_LINES, { flags: { set } });
    assert.equal(config.plugins.chunkStore['listen'], '0123');
    assert.equal(config.plugins.auth.identities[0]?.account, '000000000001');
    assert.equal(config.plugins.auth.identities[0]?.policy, 'rw');
  });

  test('the environment alone describes a site', async () => {
    const env = {
      SKERRY_BUCKETS: 'one, two three',
      SKERRY_ROOT_ACCESS_KEY: 'ROOT',
      SKERRY_ROOT_SECRET_KEY: 'root-secret',
      SKERRY_LISTEN: '',
    };
    const { config } = await loadText(PLUGIN_LINES, { env });
    assert.deepEqual(config.seed, {
      rootAccessKey: 'ROOT',
      rootSecretKey: 'root-secret',
      buckets: ['one', 'two', 'three'],
    });
  });

  test('sources name file and line, variable, flag and default', async () => {
    const { sources } = await loadText([...PLUGIN_LINES, 'log: { level: warn }'], { env: { SKERRY_SITE_ID: 'waw' } });
    const shown = (key: string) => describeSource(sources[key] ?? { kind: 'default' });
    assert.equal(shown('log.level'), 'config/site.yaml:8:15');
    assert.equal(shown('site.id'), 'SKERRY_SITE_ID');
    assert.equal(shown('admin.enabled'), '--set admin.enabled');
    assert.equal(shown('log.format'), 'default');
  });

  test('relative paths start from the file, those of variables and flags from the working directory', async () => {
    assert.equal((await loadText([...PLUGIN_LINES, 'dataDir: ./d'])).config.dataDir, '/nowhere/config/d');
    assert.equal((await loadText(PLUGIN_LINES, { env: { SKERRY_DATA_DIR: './d' } })).config.dataDir, '/nowhere/d');
    assert.equal((await loadText(PLUGIN_LINES, { flags: { dataDir: 'd' } })).config.dataDir, '/nowhere/d');
  });

  test('so do those of plugins, which are handed over absolute', async () => {
    const lines = PLUGIN_LINES.map((line) =>
      line.replace('use: test-auth', 'use: test-auth, files: [a/b.pem, /c.pem]'),
    );
    const { plugins, shown } = await loadText(lines);
    assert.deepEqual(plugins.auth.options['files'], ['/nowhere/config/a/b.pem', '/c.pem']);
    assert.deepEqual((shown['plugins'] as Record<string, Record<string, unknown>>)['auth']?.['files'], [
      '/nowhere/config/a/b.pem',
      '/c.pem',
    ]);
    const flags = { set: ['plugins.auth.files.0=d.pem'] };
    assert.deepEqual((await loadText(lines, { flags })).plugins.auth.options['files'], ['/nowhere/d.pem', '/c.pem']);
  });

  test('an unknown variable is a warning', async () => {
    const { warnings } = await loadText(PLUGIN_LINES, { env: { SKERRY_DATADIR: 'x', OTHER: 'y' } });
    assert.deepEqual(warnings, ['SKERRY_DATADIR: unknown variable, ignored (hint: did you mean SKERRY_DATA_DIR?)']);
  });

  test('JSON with tabs is as good as YAML', async () => {
    const text = JSON.stringify(
      { log: { level: 'error' }, plugins: { gateways: [{ use: 'test-gateway' }] } },
      undefined,
      '\t',
    );
    const set = [
      'plugins.metaStore.use=test-meta',
      'plugins.chunkStore.use=test-chunks',
      'plugins.auth.use=test-auth',
      'plugins.conflictResolver.use=test-resolver',
    ];
    const { config, sources } = await loadText(text.split('\n'), { flags: { set } });
    assert.equal(config.log.level, 'error');
    assert.deepEqual(sources['log.level'], { kind: 'file', file: 'config/site.yaml', line: 3, column: 12 });
  });
});
