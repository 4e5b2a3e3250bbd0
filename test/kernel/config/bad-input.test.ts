/** Every fault of a configuration names file, line, column and key, with a hint where one helps. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { PLUGIN_LINES, refusal, type LoadText } from '../fixtures/config.ts';
import { CONFIG_PLUGINS, optionsOnly } from '../fixtures/plugins.ts';

const FILE = 'config/site.yaml';

interface Case {
  readonly name: string;
  readonly lines: readonly string[];
  readonly input?: LoadText;
  readonly expected: readonly (string | RegExp)[];
}

const cases: readonly Case[] = [
  {
    name: 'unknown key at the top',
    lines: [...PLUGIN_LINES, 'shutdwon: { graceMs: 5 }'],
    expected: [`${FILE}:8:1: shutdwon: unknown key (hint: did you mean shutdown?)`],
  },
  {
    name: 'unknown key inside, with no near name',
    lines: [...PLUGIN_LINES, 'log:', '  zzzzzzzz: 1'],
    expected: [`${FILE}:9:3: log.zzzzzzzz: unknown key (hint: known here: format, level)`],
  },
  {
    name: 'unknown option of a plugin',
    lines: PLUGIN_LINES.with(1, '  metaStore: { use: test-meta, sise: 3 }'),
    expected: [`${FILE}:2:32: plugins.metaStore.sise: unknown key (hint: did you mean size?)`],
  },
  {
    name: 'wrong type',
    lines: [...PLUGIN_LINES, 'shutdown:', '  graceMs: soon'],
    expected: [
      `${FILE}:9:12: shutdown.graceMs: must be a whole number, not "soon" (hint: how long running requests may take to finish)`,
    ],
  },
  {
    name: 'section where a list belongs',
    lines: [...PLUGIN_LINES, 'replication: { peers: {} }'],
    expected: [`${FILE}:8:23: replication.peers: must be a list, not a section`],
  },
  {
    name: 'wrong word',
    lines: [...PLUGIN_LINES, 'log: { level: wran }'],
    expected: [
      `${FILE}:8:15: log.level: must be one of debug, info, warn, error, silent, not "wran" (hint: did you mean warn?)`,
    ],
  },
  {
    name: 'site id',
    lines: ['site: { id: Warszawa_1 }', ...PLUGIN_LINES],
    expected: [
      `${FILE}:1:13: site.id: "Warszawa_1" is not valid (hint: 1 to 32 lower-case letters, digits and dashes, not beginning with a dash)`,
    ],
  },
  {
    name: 'missing plugin',
    lines: PLUGIN_LINES.with(1, '  metaStore: { use: sqlit }'),
    expected: [`${FILE}:2:21: plugins.metaStore.use: no meta-store plugin called sqlit (hint: did you mean sqlite?)`],
  },
  {
    name: 'missing plugin with no near name',
    lines: PLUGIN_LINES.with(3, '  conflictResolver: { use: some-absent-package }'),
    expected: [
      `${FILE}:4:28: plugins.conflictResolver.use: no conflict-resolver plugin called some-absent-package (hint: shipped: lww, keep-both, primary; or a ./path, or an installed package)`,
    ],
  },
  {
    name: 'missing plugin file',
    lines: PLUGIN_LINES.with(1, '  metaStore: { use: ./absent.js }'),
    expected: [
      `${FILE}:2:21: plugins.metaStore.use: no plugin module at ./absent.js (hint: looked for /nowhere/config/absent.js)`,
    ],
  },
  {
    name: 'plugin of another kind',
    lines: PLUGIN_LINES.with(1, '  metaStore: { use: test-chunks }'),
    expected: [`${FILE}:2:21: plugins.metaStore.use: plugin test-chunks is a chunk-store, not a meta-store`],
  },
  {
    name: 'section without use',
    lines: PLUGIN_LINES.with(1, '  metaStore: {}'),
    expected: [`${FILE}:2:14: plugins.metaStore.use: is missing`],
  },
  {
    name: 'two gateways on one port',
    lines: [...PLUGIN_LINES, '    - { use: test-gateway, listen: 0.0.0.0:9000 }'],
    expected: [
      `${FILE}:8:36: plugins.gateways.1.listen: 0.0.0.0:9000 collides with plugins.gateways.0.listen (127.0.0.1:9000, ${FILE}:7:26) (hint: give each plugin a port of its own)`,
    ],
  },
  {
    name: 'transport on the port of a gateway',
    lines: [...PLUGIN_LINES, '  transport: { use: test-transport, listen: localhost:9000 }'],
    expected: [/^config\/site\.yaml:\d+:\d+: plugins\.\w+.*: .* collides with plugins\./],
  },
  {
    name: 'peers without a transport',
    lines: [...PLUGIN_LINES, 'replication: { peers: [{ site: ber, url: http://ber }] }'],
    expected: [
      `${FILE}:8:23: replication.peers: nothing would be replicated: there is no plugins.transport (hint: add transport: { use: http } under plugins, with a listen address if peers call this site)`,
    ],
  },
  {
    name: 'the site itself and one site twice among the peers',
    lines: [
      'site: { id: waw }',
      ...PLUGIN_LINES,
      '  transport: { use: test-transport, listen: 127.0.0.1:9100 }',
      'replication:',
      '  peers: [{ site: ber, url: http://a }, { site: waw, url: http://b }, { site: ber, url: http://c }]',
    ],
    expected: [
      `${FILE}:11:49: replication.peers.1.site: waw is this site itself (hint: list other sites only; each has a site.id of its own)`,
      `${FILE}:11:79: replication.peers.2.site: ber is listed twice (hint: each site has a site.id of its own)`,
    ],
  },
  {
    name: 'peer without a scheme',
    lines: [...PLUGIN_LINES, 'replication: { peers: [{ site: ber, url: "10.0.0.7:9100" }] }'],
    expected: [
      `${FILE}:8:42: replication.peers.0.url: "10.0.0.7:9100" is not valid (hint: where the transport of that site answers: http://host:port or https://host:port)`,
    ],
  },
  {
    name: 'unknown section in a flag and a variable',
    lines: PLUGIN_LINES,
    input: { flags: { set: ['repliction.keepOps=3'] }, env: { SKERRY__lgo__level: 'info' } },
    expected: [
      'SKERRY__lgo__level: lgo: unknown key (hint: did you mean log?)',
      '--set repliction.keepOps: repliction: unknown key (hint: did you mean replication?)',
    ],
  },
  {
    name: 'no address',
    lines: PLUGIN_LINES.with(6, '    - { use: s3, listen: 127.0.0.1:99999 }'),
    expected: [
      `${FILE}:7:26: plugins.gateways.0.listen: "127.0.0.1:99999" is not valid (hint: host:port, [v6 address]:port, or :port for all interfaces; port 0 for any free one)`,
    ],
  },
  {
    name: 'missing secret variable and file',
    lines: [
      ...PLUGIN_LINES.with(1, '  metaStore: { use: test-meta, password: { file: pw.txt } }'),
      'replication: { clusterKey: { env: CLUSTER_KEY } }',
    ],
    expected: [
      `${FILE}:2:42: plugins.metaStore.password: file pw.txt does not exist`,
      `${FILE}:8:28: replication.clusterKey: environment variable CLUSTER_KEY is not set`,
    ],
  },
  {
    name: 'secret that is too short, never shown',
    lines: PLUGIN_LINES.with(4, '  auth: { use: test-auth, identities: [{ accessKey: AAA, secretKey: { env: S } }] }'),
    input: { env: { S: 'hunter2' } },
    expected: [
      /^config\/site\.yaml:5:69: plugins\.auth\.identities\.0\.secretKey: must NOT have fewer than 8 characters \(hint: a secret/,
    ],
  },
  {
    name: 'incomplete identity',
    lines: PLUGIN_LINES.with(4, '  auth: { use: test-auth, identities: [{ accessKey: AAA }] }'),
    expected: [`${FILE}:5:40: plugins.auth.identities.0.secretKey: is missing`],
  },
  {
    name: 'broken YAML',
    lines: ['site: { id: a', 'plugins: x'],
    expected: [/^config\/site\.yaml:2:\d+: /],
  },
  {
    name: 'the same key twice',
    lines: ['log: {}', 'log: {}'],
    expected: [`${FILE}:2:1: Map keys must be unique`],
  },
  { name: 'a list', lines: ['- a'], expected: [`${FILE}:1:1: the configuration must be a section of keys`] },
  {
    name: 'a prototype',
    lines: [...PLUGIN_LINES, '__proto__: { polluted: 1 }'],
    expected: [/^config\/site\.yaml:8:1: __proto__: unknown key/],
  },
  {
    name: 'variables are named instead of a line',
    lines: PLUGIN_LINES,
    input: { env: { SKERRY_LISTEN: 'nowhere', SKERRY_SITE_ID: 'A', SKERRY__shutdown__graceMs: '-1' } },
    expected: [
      /^SKERRY_SITE_ID: site\.id: "A" is not valid \(hint: /,
      /^SKERRY_LISTEN: plugins\.gateways\.0\.listen: "nowhere" is not valid \(hint: host:port/,
      /^SKERRY__shutdown__graceMs: shutdown\.graceMs: must be >= 0 \(hint: /,
    ],
  },
  {
    name: 'flags are named instead of a line',
    lines: PLUGIN_LINES,
    input: {
      flags: {
        listen: 'x',
        set: ['log.level=loud', 'log.levle=info', 'novalue', 'a..b=1', 'plugins.gateways.9.use=s3', 'log.level.x=1'],
      },
    },
    expected: [
      '--set novalue: has no value (hint: write --set a.b=value)',
      '--set a..b: a..b: is not a key of the configuration',
      '--set plugins.gateways.9.use: plugins.gateways.9.use: plugins.gateways is a list of 1; its items are numbered from 0',
      '--set log.level.x: log.level.x: log.level is a single value, not a section',
      /^--listen: plugins\.gateways\.0\.listen: "x" is not valid/,
      '--set log.level: log.level: must be one of debug, info, warn, error, silent, not "loud"',
      '--set log.levle: log.levle: unknown key (hint: did you mean level?)',
    ],
  },
  {
    name: 'listen without an S3 gateway',
    lines: PLUGIN_LINES.with(6, '    - { use: test-gateway }'),
    input: { env: { SKERRY_LISTEN: '127.0.0.1:1' } },
    expected: ['SKERRY_LISTEN: plugins.gateways: there is no gateway with use: s3 that could listen'],
  },
  {
    name: 'half of the root credentials',
    lines: PLUGIN_LINES,
    input: { env: { SKERRY_ROOT_ACCESS_KEY: 'ROOT' } },
    expected: [/: seed\.rootSecretKey: is missing$/],
  },
];

describe('bad configuration', () => {
  for (const { name, lines, input = {}, expected } of cases) {
    test(name, async () => {
      const found = [...(await refusal(lines, input))];
      assert.equal(found.length, expected.length, found.join('\n'));
      for (const want of expected) {
        const index = found.findIndex((line) => (typeof want === 'string' ? line === want : want.test(line)));
        assert.notEqual(index, -1, `${String(want)} is not in\n${found.join('\n')}`);
        found.splice(index, 1);
      }
      assert.ok(!expected.join().includes('hunter2'));
    });
  }

  test('a file that does not exist', async () => {
    assert.deepEqual(await refusal([], { file: 'config/none.yaml' }), [
      'config/none.yaml:1:1: file does not exist (hint: make one with: skerry init)',
    ]);
  });
});

describe('bad plugin', () => {
  const line = (use: string) => PLUGIN_LINES.with(1, `  metaStore: { use: ${use} }`);

  async function refusedModule(text: string): Promise<readonly string[]> {
    const directory = await mkdtemp(join(tmpdir(), 'skerry-plugin-'));
    try {
      await writeFile(join(directory, 'plugin.mjs'), text);
      return await refusal(line(join(directory, 'plugin.mjs')));
    } finally {
      await rm(directory, { recursive: true });
    }
  }

  const WHERE = `${FILE}:2:21: plugins.metaStore.use:`;

  test('no default export', async () => {
    assert.deepEqual(await refusedModule('export const x = 1;'), [
      `${WHERE} is not a plugin (hint: a plugin module has one default export, made by definePlugin)`,
    ]);
  });

  test('a module that throws', async () => {
    const [found = ''] = await refusedModule(`throw new Error('boom');`);
    assert.match(
      found,
      /^config\/site\.yaml:2:21: plugins\.metaStore\.use: plugin .*plugin\.mjs cannot be loaded: boom$/,
    );
  });

  const faults: readonly { readonly name: string; readonly change: object; readonly expected: RegExp }[] = [
    {
      name: 'contract',
      change: { contract: 2 },
      expected: /plugin test-meta is made for contract 2, this is 1 \(hint: install/,
    },
    { name: 'create', change: { create: undefined }, expected: /plugin test-meta has no create function/ },
    { name: 'name', change: { name: '' }, expected: /it has no name/ },
    { name: 'supports', change: { supports: undefined }, expected: /does not declare what it supports/ },
    {
      name: 'open schema',
      change: { options: { type: 'object', properties: {} } },
      expected: /closed to unknown keys/,
    },
    {
      name: 'impossible schema',
      change: { options: { type: 'object', additionalProperties: false, properties: { a: { type: 'strnig' } } } },
      expected: /has a bad options schema: schema is invalid/,
    },
    {
      name: 'reserved option',
      change: { options: { type: 'object', additionalProperties: false, properties: { use: { type: 'string' } } } },
      expected: /use is not a name for an option/,
    },
  ];
  for (const { name, change, expected } of faults) {
    test(`wrong ${name}`, async () => {
      const broken = Object.freeze({ ...optionsOnly('meta-store', 'test-meta'), ...change });
      const found = await refusal(line('broken'), { plugins: { ...CONFIG_PLUGINS, broken } });
      assert.match(found[0] ?? '', expected);
      assert.ok(found[0]?.startsWith(WHERE), found[0]);
    });
  }
});
