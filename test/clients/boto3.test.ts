import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { programs, runClient, skipWithout, startSite, type Site } from './support.ts';

const SCRIPT = fileURLToPath(new URL('boto3_session.py', import.meta.url));

function hasBoto3(python: string): boolean {
  try {
    execFileSync(python, ['-c', 'import boto3'], { stdio: 'ignore', timeout: 60_000 });
    return true;
  } catch {
    return false;
  }
}

const found = programs('python3').filter(hasBoto3);

describe('boto3', { skip: skipWithout('python3 with boto3', found.length > 0) }, () => {
  let site: Site;
  before(async () => {
    site = await startSite();
  });
  after(() => site.stop());

  for (const [index, python] of found.entries()) {
    test(`${python}: a session of transfers, listings, links and deletions`, async () => {
      const said = await runClient(python, [SCRIPT, site.endpoint, `boto3-${index}`], {
        env: site.env,
        cwd: site.workDir,
      });
      assert.match(said, /^done with boto3 [\d.]+\n$/);
    });
  }
});
