/** Keys of the `replication` section that contradict each other, or that nothing would obey, are told with their line. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { loadText, PLUGIN_LINES, refusal } from '../fixtures/config.ts';

const FILE = 'config/site.yaml';
const WITH_TRANSPORT = [...PLUGIN_LINES, '  transport: { use: test-transport }', 'site: { id: waw }'];
const peer = (site: string, port: number): string => `    - { site: ${site}, url: 'http://127.0.0.1:${port}' }`;

describe('the replication section', () => {
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    [
      'old keys alone',
      [...WITH_TRANSPORT, 'replication:', '  previousClusterKeys: [abcdefgh]'],
      `${FILE}:11:24: replication.previousClusterKeys: are of no use without replication.clusterKey (hint: set clusterKey to the new key)`,
    ],
    [
      'a shortest wait that is longer than the longest',
      [...WITH_TRANSPORT, 'replication: { backoffMinMs: 500, backoffMaxMs: 100 }'],
      `${FILE}:10:30: replication.backoffMinMs: is more than backoffMaxMs (100) (hint: the first wait is the shortest one)`,
    ],
  ];
  for (const [name, lines, expected] of cases)
    test(name, async () => assert.deepEqual(await refusal(lines), [expected]));

  test('what makes sense is let in', async () => {
    const lines = [
      'replication:',
      '  backoffMinMs: 100',
      '  backoffMaxMs: 100',
      '  peers:',
      peer('ber', 1),
      peer('lis', 2),
    ];
    const { config } = await loadText([...WITH_TRANSPORT, ...lines]);
    assert.equal(config.replication.peers.length, 2);
  });
});
