import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { checkOf, encodeLocator, parseLocator } from '../../../plugins/chunks-fs/locator.ts';

const entries = fc.record({
  offset: fc.nat({ max: 2 ** 31 - 1 }),
  headerLength: fc.nat({ max: 1300 }),
  dataLength: fc.nat({ max: 16 * 1024 * 1024 }),
});

test('a locator parses to what it was made of', () => {
  const property = fc.property(fc.nat({ max: 2 ** 31 - 1 }), entries, fc.nat(), (segment, entry, salt) => {
    const place = parseLocator(encodeLocator(segment, entry, salt));
    assert.deepEqual(place, { segment, ...entry, check: checkOf(entry, salt) });
  });
  fc.assert(property, { seed: 5, numRuns: 500 });
});

test('what is not spelled as a locator is none', () => {
  const spellings = [
    '',
    '.',
    '1.2.3.4',
    '1.2.3.4.5.6',
    '1.2.3.4.',
    '.1.2.3.4',
    '01.2.3.4.5',
    '1.2.3.4.A',
    '1.2.3.4.-1',
  ];
  for (const text of [
    ...spellings,
    '1.2.3.4.5 ',
    '1.2.3.4.é',
    `${'z'.repeat(11)}.1.1.1.1`,
    '1.1.zzzzz.1.1',
    '1.1.1.zzzzzz.1',
  ]) {
    assert.equal(parseLocator(text), undefined, text);
  }
});

test('only the one spelling of a locator is accepted', () => {
  const texts = fc.string({ unit: fc.constantFrom('.', '0', '1', '9', 'a', 'z', 'A', '-'), maxLength: 20 });
  const property = fc.property(texts, (text) => {
    const place = parseLocator(text);
    if (place === undefined) return;
    const { segment, offset, headerLength, dataLength, check } = place;
    const fields = [segment, offset, headerLength, dataLength, check];
    assert.equal(fields.map((field) => field.toString(36)).join('.'), text);
  });
  fc.assert(property, { seed: 5, numRuns: 2000 });
});
