/** XML: strict, bounded, and what is written can be read. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';

import { S3Error } from '../../../plugins/gateway-s3/errors.ts';
import {
  child,
  childText,
  children,
  element,
  escapeXml,
  parseXml,
  parseXmlRoot,
  xmlDocument,
} from '../../../plugins/gateway-s3/xml.ts';

const malformed = (error: unknown): boolean => error instanceof S3Error && error.code === 'MalformedXML';

describe('parseXml', () => {
  test('gives elements, text and attributes', () => {
    const root = parseXml(
      '<?xml version="1.0"?><A xmlns="x"><B> one &lt; </B><B><![CDATA[<two>]]></B><p:C p:t="v"/></A>',
    );
    assert.equal(root.name, 'A');
    assert.deepEqual(
      children(root, 'B').map(({ text }) => text),
      [' one < ', '<two>'],
    );
    assert.equal(child(root, 'C')?.attributes['p:t'], 'v');
    assert.equal(childText(root, 'D'), undefined);
  });

  const bad: Readonly<Record<string, string>> = {
    empty: '',
    blank: '  \n ',
    unclosed: '<Delete><Object>',
    'two roots': '<A/><A/>',
    'trailing text': '<A/>x',
    mismatched: '<A></B>',
    'unknown entity': '<A>&nope;</A>',
    'control character': '<A>\u0001</A>',
    doctype: '<!DOCTYPE A><A/>',
    'billion laughs': '<!DOCTYPE l [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><l>&b;</l>',
    'external entity': '<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><l>&x;</l>',
    json: '{"a":1}',
  };
  for (const [name, text] of Object.entries(bad)) {
    test(`refuses: ${name}`, () => assert.throws(() => parseXml(text), malformed));
  }

  test('caps depth and elements', () => {
    const nested = (depth: number): string => '<a>'.repeat(depth) + '</a>'.repeat(depth);
    assert.equal(parseXml(nested(4), { maxDepth: 4, maxElements: 9 }).name, 'a');
    assert.throws(() => parseXml(nested(5), { maxDepth: 4, maxElements: 9 }), malformed);
    assert.throws(() => parseXml(nested(50_000)), malformed);
    assert.throws(() => parseXml(`<a>${'<b/>'.repeat(9)}</a>`, { maxDepth: 4, maxElements: 9 }), malformed);
  });

  test('tag names of Object.prototype are ordinary names', () => {
    const root = parseXml('<A><__proto__>x</__proto__><constructor/></A>');
    assert.equal(childText(root, '__proto__'), 'x');
    assert.equal(childText(root, 'toString'), undefined);
  });

  test('demands the root that is expected', () => {
    assert.throws(() => parseXmlRoot('<A/>', 'B'), malformed);
  });

  test('never fails other than by MalformedXML', () => {
    const pieces = fc.constantFrom(
      '<',
      '>',
      '/',
      'a',
      'A',
      '&',
      ';',
      '"',
      '<!--',
      '-->',
      '<![CDATA[',
      ']]>',
      '<?',
      '?>',
      '=',
      ' ',
      '<!DOCTYPE',
      '\u0000',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => {
        try {
          parseXml(parts.join(''));
        } catch (error) {
          assert.ok(malformed(error), String(error));
        }
      }),
      { seed: 7, numRuns: 5000 },
    );
  });
});

describe('building', () => {
  test('what XML can carry survives a round trip', () => {
    const text = fc
      .string({ unit: 'grapheme' })
      // eslint-disable-next-line no-control-regex -- what XML 1.0 cannot carry
      .filter((value) => !/[\u0000-\u001f\u007f-\u009f\ufffe\uffff\ud800-\udfff]/.test(value));
    fc.assert(
      fc.property(text, (value) => {
        assert.equal(childText(parseXml(xmlDocument('R', 'urn:x', element('V', value))), 'V'), value);
      }),
      { seed: 8, numRuns: 2000 },
    );
  });

  test('escapes markup and what XML cannot carry', () => {
    assert.equal(escapeXml(`<&>"'`), '&lt;&amp;&gt;&quot;&#39;');
    assert.equal(escapeXml('a\u0001b\n'), 'a&#x1;b&#xa;');
    assert.equal(element('N', 3), '<N>3</N>');
    assert.equal(element('N', undefined), '');
  });
});
