/** The commands that a first start prints, pasted into a shell, with the real clients. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { clientCommands, reachable, welcome } from '../../core/cli/welcome.ts';
import { scratch, serve } from './command.ts';
import { shell, withoutClients } from './shell.ts';

const skip = withoutClients('aws', 'rclone', 's3cmd');

describe('what the first start prints', () => {
  test('works when it is pasted, one line after the other', { skip }, async () => {
    const { path: cwd, remove } = scratch();
    writeFileSync(join(cwd, 'README.md'), 'something to copy');
    const site = await serve({ cwd });
    try {
      const commands = site
        .stdout()
        .split('\n')
        .filter((line) => /^ {2}AWS_\S+_FILE=/.test(line));
      assert.equal(commands.length, 3);
      for (const command of commands) {
        const { code, output } = await shell(command, cwd);
        assert.equal(code, 0, `${command}\n${output}`);
        if (command.includes('s3cmd')) assert.match(output, /s3:\/\/first\/README\.md/);
      }
    } finally {
      await site.end();
      remove();
    }
  });

  test('a path with blanks and quotes stays one word', () => {
    const [aws = ''] = clientCommands("my site's/root-credentials", 'http://127.0.0.1:9000', 'us-east-1');
    assert.ok(aws.includes("AWS_SHARED_CREDENTIALS_FILE='my site'\\''s/root-credentials' aws "));
  });

  test('an address that stands for all interfaces is one that a client can use', () => {
    assert.equal(reachable('http://0.0.0.0:9000'), 'http://127.0.0.1:9000');
    assert.equal(reachable('http://[::]:9000'), 'http://[::1]:9000');
    assert.equal(reachable('https://192.0.2.7:443'), 'https://192.0.2.7:443');
  });

  test('without an S3 endpoint it says where the credentials are, no more', () => {
    const said = welcome({ credentialsFile: '/data/root-credentials', endpoint: undefined, region: 'x', cwd: '/' });
    assert.match(said, /root-credentials$/);
  });
});
