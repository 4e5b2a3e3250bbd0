/** repl-validate: on the data of a stopped site and over the admin socket of a running one. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';

import type { ValidationReport } from '../../core/contracts/index.ts';
import { scratch, serve, skerry, skerryFails, skerryJson } from './command.ts';
import { env, putPhotos } from './photos.ts';

describe('skerry repl-validate', () => {
  const { path: cwd, remove } = scratch();
  const where = { cwd };
  const body = createHash('sha512').update('seed').digest();

  before(() => putPhotos(cwd, { cat: body }));
  after(remove);

  /** One leaf of the digest becomes another. */
  function damageDigest(): void {
    const database = new DatabaseSync(join(cwd, 'data', 'meta-sqlite', 'meta.sqlite'));
    const { changes } = database
      .prepare('UPDATE digest SET v = zeroblob(16) WHERE k = (SELECT min(k) FROM digest)')
      .run();
    database.close();
    assert.equal(changes, 1);
  }

  test('a sound site: exit code 0, and what was looked at', async () => {
    const { code, stdout } = await skerry(['repl-validate', '--deep'], where);
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^site +waw\nentities +\d+\ndigest +right\ncounters +right\nbytes +\d+ chunks, .*: all good\n/,
    );
    assert.match(stdout, /All is well\.\n$/);
  });

  test('what is wrong: exit code 1, said on both streams; a repair puts it right', async () => {
    damageDigest();
    const { code, stdout, stderr } = await skerry(['repl-validate'], where);
    assert.equal(code, 1);
    assert.match(stdout, /digest +1 leaves do not add up\n[^]*NOT all is well\.\n$/);
    assert.match(stderr, /the check found something wrong\nhint: with --repair/);
    const report = await skerryJson<ValidationReport>(['repl-validate', '--repair'], where);
    assert.deepEqual([report.isSound, report.local.repaired, report.local.damagedDigestLeaves], [true, true, 1]);
    assert.equal((await skerry(['repl-validate'], where)).code, 0);
  });

  test('over the admin socket of a running site; a peer that it does not have is NotFound', async () => {
    const site = await serve({ cwd, env });
    const report = await skerryJson<ValidationReport>(['repl-validate', '--deep'], where);
    assert.deepEqual([report.site, report.isSound, report.bytes?.badCount, report.peers], ['waw', true, 0, []]);
    assert.equal((await skerryFails(['repl-validate', '--peer', 'ber'], where)).code, 'NotFound');
    await site.end();
  });
});
