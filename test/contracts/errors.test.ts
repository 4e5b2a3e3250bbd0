/** docs/errors.md has one heading for each code, in the order of the list. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { ERROR_CODES, isSkerryError, SkerryError } from '../../core/contracts/index.ts';

const PAGE = new URL('../../docs/errors.md', import.meta.url);

test('every code has its heading, and every heading its code', async () => {
  const text = await readFile(PAGE, 'utf8');
  const headings = [...text.matchAll(/^## (\S+)$/gm)].map(([, heading]) => heading);
  assert.deepEqual(headings, [...ERROR_CODES]);
});

test('every heading is followed by words', async () => {
  const sections = (await readFile(PAGE, 'utf8')).split(/^## /m).slice(1);
  for (const section of sections) assert.match(section, /^\S+\n\n[A-Z][^\n]{20,}/, section);
});

test('a code is told by the code, not by the text', () => {
  const error: unknown = new SkerryError('SlowDown', 'text');
  assert.deepEqual(
    [isSkerryError(error), isSkerryError(error, 'SlowDown'), isSkerryError(error, 'Io')],
    [true, true, false],
  );
  assert.equal(new SkerryError('SlowDown', 'text').retryable, true);
  assert.equal(new SkerryError('Io', 'text').retryable, false);
  assert.ok(!isSkerryError(new Error('SlowDown')));
});
