/** Conditional requests: the precedence table of RFC 9110 section 13.2.2, ETag lists, dates. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import {
  evaluateConditions,
  parseEtags,
  parseHttpDate,
  rangeApplies,
  writeCondition,
  deleteCondition,
  type ReadConditions,
} from '../../../plugins/gateway-s3/conditions.ts';
import { S3Error } from '../../../plugins/gateway-s3/errors.ts';
import type { S3Request } from '../../../plugins/gateway-s3/operation.ts';

const MODIFIED_MS = Date.UTC(2025, 5, 15, 12, 0, 0, 700);
const AT = { etag: 'abc', modifiedAtMs: MODIFIED_MS };
const SAME = 'Sun, 15 Jun 2025 12:00:00 GMT';
const BEFORE = 'Sun, 15 Jun 2025 11:59:59 GMT';
const AFTER = 'Sun, 15 Jun 2025 12:00:01 GMT';

describe('evaluateConditions', () => {
  const cases: readonly [asked: ReadConditions, outcome: string][] = [
    [{}, 'proceed'],
    [{ ifMatch: '"abc"' }, 'proceed'],
    [{ ifMatch: '*' }, 'proceed'],
    [{ ifMatch: 'abc' }, 'proceed'],
    [{ ifMatch: '"x", "abc"' }, 'proceed'],
    [{ ifMatch: '"x"' }, 'failed'],
    [{ ifMatch: 'W/"abc"' }, 'failed'],
    [{ ifUnmodifiedSince: SAME }, 'proceed'],
    [{ ifUnmodifiedSince: AFTER }, 'proceed'],
    [{ ifUnmodifiedSince: BEFORE }, 'failed'],
    [{ ifUnmodifiedSince: 'yesterday' }, 'proceed'],
    [{ ifNoneMatch: '"abc"' }, 'not-modified'],
    [{ ifNoneMatch: 'W/"abc"' }, 'not-modified'],
    [{ ifNoneMatch: '*' }, 'not-modified'],
    [{ ifNoneMatch: '"x"' }, 'proceed'],
    [{ ifModifiedSince: SAME }, 'not-modified'],
    [{ ifModifiedSince: AFTER }, 'not-modified'],
    [{ ifModifiedSince: BEFORE }, 'proceed'],
    [{ ifModifiedSince: 'garbage' }, 'proceed'],
    // A true If-Match makes If-Unmodified-Since unheard, a false If-None-Match makes If-Modified-Since unheard.
    [{ ifMatch: '"abc"', ifUnmodifiedSince: BEFORE }, 'proceed'],
    [{ ifMatch: '"x"', ifUnmodifiedSince: AFTER }, 'failed'],
    [{ ifNoneMatch: '"x"', ifModifiedSince: SAME }, 'proceed'],
    [{ ifNoneMatch: '"abc"', ifModifiedSince: BEFORE }, 'not-modified'],
    // Preconditions come before the cache's questions.
    [{ ifMatch: '"x"', ifNoneMatch: '"abc"' }, 'failed'],
    [{ ifMatch: '"abc"', ifNoneMatch: '"abc"' }, 'not-modified'],
    [{ ifUnmodifiedSince: BEFORE, ifNoneMatch: '"abc"' }, 'failed'],
    [{ ifUnmodifiedSince: SAME, ifModifiedSince: SAME }, 'not-modified'],
  ];
  for (const [asked, outcome] of cases) {
    test(`${JSON.stringify(asked)} -> ${outcome}`, () => assert.equal(evaluateConditions(asked, AT).outcome, outcome));
  }
});

test('dates are read in three HTTP forms and ISO 8601, and nothing else', () => {
  const ms = Date.UTC(1994, 10, 6, 8, 49, 37);
  assert.equal(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT'), ms);
  assert.equal(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT'), ms);
  assert.equal(parseHttpDate('Sun Nov  6 08:49:37 1994'), ms);
  assert.equal(parseHttpDate('1994-11-06T08:49:37Z'), ms);
  for (const text of ['', '1994', 'Sun, 06 Nov 1994', '2025-06-15', 'foo 1', '06 Nov 1994 08:49:37']) {
    assert.equal(parseHttpDate(text), undefined, text);
  }
});

test('ETag lists', () => {
  assert.deepEqual(parseEtags('"a", W/"b" ,c,*'), ['a', 'W/b', 'c', '*']);
  assert.deepEqual(parseEtags('"a,b"'), ['a,b']);
  assert.deepEqual(parseEtags(' , '), []);
});

test('If-Range compares strongly and exactly', () => {
  assert.equal(rangeApplies(undefined, AT), true);
  assert.equal(rangeApplies('"abc"', AT), true);
  assert.equal(rangeApplies('W/"abc"', AT), false);
  assert.equal(rangeApplies('"x"', AT), false);
  assert.equal(rangeApplies(SAME, AT), true);
  assert.equal(rangeApplies(AFTER, AT), false);
});

function requestWith(headers: Readonly<Record<string, string>>): S3Request {
  return { header: (name: string) => headers[name] } as unknown as S3Request;
}

function refused(run: () => unknown, code: string): void {
  assert.throws(run, (error) => error instanceof S3Error && error.code === code);
}

test('conditions of writes', () => {
  assert.equal(writeCondition(requestWith({})), undefined);
  assert.deepEqual(writeCondition(requestWith({ 'if-match': '"a"' })), { ifMatch: ['a'] });
  assert.deepEqual(writeCondition(requestWith({ 'if-none-match': '*' })), { ifNoneMatch: ['*'] });
  // A condition that is not understood must not be dropped: the write would then be unconditional.
  refused(() => writeCondition(requestWith({ 'if-none-match': '"a"' })), 'NotImplemented');
  refused(() => writeCondition(requestWith({ 'if-unmodified-since': SAME })), 'NotImplemented');
  refused(() => writeCondition(requestWith({ 'if-match': '"a"', 'if-none-match': '*' })), 'NotImplemented');
});

test('conditions of deletes', () => {
  assert.equal(deleteCondition(requestWith({})), undefined);
  const all = { 'if-match': '"a"', 'x-amz-if-match-size': '5', 'x-amz-if-match-last-modified-time': SAME };
  assert.deepEqual(deleteCondition(requestWith(all)), {
    ifMatch: ['a'],
    ifMatchSize: 5,
    ifMatchModifiedAtMs: Math.floor(MODIFIED_MS / 1000) * 1000,
  });
  refused(() => deleteCondition(requestWith({ 'x-amz-if-match-size': '-1' })), 'InvalidArgument');
  refused(() => deleteCondition(requestWith({ 'x-amz-if-match-last-modified-time': 'now' })), 'InvalidArgument');
});
