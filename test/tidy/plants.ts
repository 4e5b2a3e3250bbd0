/** For every rule: what it must catch and what it must let pass. A rule that catches nothing is not a rule. */
import { MAX_FILE_LINES, MAX_FUNCTION_LINES } from './size.ts';
import type { SourceFile } from './source.ts';

export interface Plants {
  readonly caught: readonly SourceFile[];
  readonly passed: readonly SourceFile[];
}

const lines = (count: number): string => 'x();\n'.repeat(count);
const at = (path: string, texts: readonly string[]): readonly SourceFile[] => texts.map((text) => ({ path, text }));

/** Written apart so that this file does not break the rules it plants. */
const MARK = ['TO', 'DO'].join('');
const HOST = ['registry', 'npmjs', 'org'].join('.');
const HERE = ['', 'work', 'main'].join('/');
const RESOLVED = ['"resolved"', ''].join(':');
const SHARED = ['..', 'shared', 'design'].join('/');

const longFunctions = [
  `function f() {\n${lines(MAX_FUNCTION_LINES - 1)}}`,
  `const f = () => {\n${lines(MAX_FUNCTION_LINES - 1)}};`,
  `class C {\n  m() {\n${lines(MAX_FUNCTION_LINES - 1)}}\n}`,
  `describe('a', () => {\n  test('b', () => {\n${lines(MAX_FUNCTION_LINES - 1)}  });\n});`,
];

const clock = [
  'Date.now();',
  'const now = Date.now;',
  'const { now } = Date;',
  'globalThis.Date.now();',
  'new Date();',
  'Date();',
  'performance.now();',
  'process.hrtime.bigint();',
  "import { performance } from 'node:perf_hooks';",
];

const timers = [
  'setTimeout(f, 1);',
  'const later = setTimeout;',
  'setInterval(f, 1);',
  'globalThis.setTimeout(f, 1);',
  'setImmediate(f);',
  'AbortSignal.timeout(5);',
  "import { setTimeout as sleep } from 'node:timers/promises';",
];

const chance = [
  'Math.random();',
  'crypto.randomUUID();',
  'globalThis.crypto.getRandomValues(a);',
  "import { createHash, randomBytes } from 'node:crypto';",
  "import { generateKeyPairSync as pair } from 'crypto';",
  "import * as anything from 'node:crypto';",
];

const machine = [
  ...['fs', 'fs/promises', 'net', 'http', 'https', 'tls', 'dns', 'worker_threads', 'child_process', 'os'].map(
    (name) => `import { x } from 'node:${name}';`,
  ),
  "import fs from 'fs';",
  "import 'node:http';",
  "const os = await import('node:os');",
  "export { createServer } from 'node:net';",
  "import { DatabaseSync } from 'node:sqlite';",
  'process.env.HOME;',
  'process.exit(1);',
  "fetch('http://peer');",
  'a.localeCompare(b);',
];

const deterministic = [
  'clock.wallMs(); timers.after(1, f); random.bytes(8);',
  'new Date(wallMs).toISOString(); Date.parse(text); Date.UTC(1970);',
  "import { createHash, timingSafeEqual } from 'node:crypto';",
  "import type { IncomingMessage } from 'node:http';",
  "import { type Socket } from 'node:net';",
  "import { crc32 } from 'node:zlib';",
  'interface Timers { setTimeout(f: () => void): void }\nlet t: ReturnType<typeof setTimeout>;',
  'timers.setTimeout(f); const ports = { fetch: f };',
  "// Date.now() and Math.random() in a comment\nconst text = 'setTimeout(';",
];

export const plants: Readonly<Record<string, Plants>> = {
  fileLength: {
    caught: at('core/engine/a.ts', [lines(MAX_FILE_LINES + 1)]),
    passed: [...at('core/engine/a.ts', [lines(MAX_FILE_LINES)]), ...at('docs/a.md', [lines(MAX_FILE_LINES + 1)])],
  },
  functionLength: {
    caught: at('test/a.test.ts', longFunctions),
    passed: at('test/a.test.ts', [
      `function f() {\n${lines(MAX_FUNCTION_LINES - 2)}}`,
      `describe('a', () => {\n${lines(MAX_FUNCTION_LINES)}});`,
    ]),
  },
  markers: {
    caught: [
      ...at('plugins/p/index.ts', [`// ${MARK}: later`, `f(); /* ${MARK} */`, `/** ${MARK} */\nf(/* ${MARK} */);`]),
      ...at('docs/a.md', [`Text ${MARK}`]),
    ],
    passed: at('plugins/p/index.ts', [`const text = '${MARK}';`, '// a todo list is a fine bucket name']),
  },
  silencedTests: {
    caught: at('test/a.test.ts', [
      "test.only('a', f);",
      "test.todo('a');",
      "describe.skip('a', f);",
      't.skip();',
      "test('a', { skip: true }, f);",
      "test('a', { only: true }, f);",
      "it('a', { todo: 'one day' }, f);",
    ]),
    passed: at('test/a.test.ts', [
      "test('a', { skip: 'needs rclone' }, f);",
      "test('a', { skip: hasRclone ? false : 'needs rclone' }, f);",
      "t.skip('needs rclone');",
      'stream.skip(); const options = { skip: true };',
    ]),
  },
  machinePlaces: {
    caught: [
      ...at('docs/a.md', [`see ${HERE}/README.md`, `see ${SHARED}`, `from https://${HOST}/x`]),
      ...at('package-lock.json', [`${RESOLVED} "https://somewhere/x.tgz"`]),
    ],
    passed: at('docs/a.md', ['see ./work/main, https://site/work/ and /var/lib/skerry']),
  },
  topLevel: {
    caught: at('scripts/a.ts', ['']).concat(at('notes.md', [''])),
    passed: at('.ci/run', ['']).concat(at('core/index.ts', ['']), at('LICENSE', [''])),
  },
  determinism: {
    caught: [
      ...at('core/engine/a.ts', [...clock, ...timers, ...chance, ...machine]),
      ...at('plugins/p/server.ts', machine),
      ...at('harness/sim/a.ts', chance),
    ],
    passed: [
      ...at('core/engine/a.ts', deterministic),
      ...['core/kernel/runtime/files.ts', 'core/cli/serve.ts', 'plugins/p/http-adapter.ts', 'test/a.test.ts'].flatMap(
        (path) => at(path, [...clock, ...timers, ...chance, ...machine]),
      ),
      ...at('harness/process/a.ts', [...clock, ...machine]),
    ],
  },
};
