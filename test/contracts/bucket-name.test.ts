import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { bucketNameFault } from '../../core/contracts/index.ts';

const GOOD = [
  'abc',
  '123',
  'my-bucket',
  'my.bucket.name',
  'a--b',
  'x'.repeat(63),
  '1.2.3',
  '1.2.3.4.5',
  'a1',
  'b-s3',
].filter((name) => name.length >= 3);
const BAD: Readonly<Record<string, RegExp>> = {
  ab: /between 3 and 63/,
  '': /between 3 and 63/,
  ['x'.repeat(64)]: /between 3 and 63/,
  Abc: /lower-case/,
  under_score: /lower-case/,
  'sp ace': /lower-case/,
  'a/b': /lower-case/,
  naïve: /lower-case/,
  'new\nline': /lower-case/,
  'abc\n': /lower-case/,
  '-abc': /begin and end/,
  'abc-': /begin and end/,
  '.abc': /begin and end/,
  'abc.': /begin and end/,
  'a..b': /two dots/,
  'a.-b': /next to each other/,
  'a-.b': /next to each other/,
  '192.168.5.4': /IP address/,
  '999.999.999.999': /IP address/,
  'xn--abc': /reserved xn--/,
  'sthree-abc': /reserved sthree-/,
  'amzn-s3-demo-abc': /reserved amzn-s3-demo-/,
  'abc-s3alias': /reserved -s3alias/,
  'abc--ol-s3': /reserved --ol-s3/,
  'abc.mrap': /reserved .mrap/,
  'abc--x-s3': /reserved --x-s3/,
  'abc--table-s3': /reserved --table-s3/,
};

describe('bucket names', () => {
  for (const name of GOOD) {
    test(`${name} is good`, () => assert.equal(bucketNameFault(name), undefined));
  }
  for (const [name, reason] of Object.entries(BAD)) {
    test(`${JSON.stringify(name)} is refused`, () => assert.match(bucketNameFault(name) ?? '', reason));
  }
});
