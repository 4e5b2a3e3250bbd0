import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';

import { SkerryError, type DeleteObjectInput, type DeleteResult } from '../../../core/contracts/index.ts';
import { deleteObjects } from '../../../plugins/gateway-s3/operations/delete-many.ts';
import { childText, children, element, group, type XmlNode } from '../../../plugins/gateway-s3/xml.ts';
import { run, runXml, s3Code, type ServicesInit } from './fixtures/operation-rig.ts';

const MD5 = { 'content-md5': '1B2M2Y8AsgTpgAmY7PhCfg==' };
const object = (key: string, more = ''): string => group('Object', element('Key', key) + more);
const deletion = (content: string): string =>
  `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content}</Delete>`;
const asking = (content: string) => ({ method: 'POST', body: deletion(content), headers: MD5 });

function recording(
  outcome: (input: DeleteObjectInput) => DeleteResult | Error,
): ServicesInit & { readonly asked: DeleteObjectInput[] } {
  const asked: DeleteObjectInput[] = [];
  const decide = async (inputs: readonly DeleteObjectInput[]) => {
    asked.push(...inputs);
    return inputs.map(outcome);
  };
  return { asked, objects: { deleteObjects: decide } };
}
const gone = recording(() => ({ marker: false }));
const told = (row: XmlNode): Record<string, string> =>
  Object.fromEntries(row.children.map(({ name, text }) => [name, text]));

describe('DeleteObjects', () => {
  test('reports each key by its own outcome, in the order asked', async () => {
    const services = recording(({ key, versionId }) => {
      if (key === 'locked') return new SkerryError('ObjectLocked', 'under retention until tomorrow');
      if (versionId !== undefined) return { marker: true, versionId };
      return { marker: key === 'versioned', ...(key === 'versioned' ? { versionId: 'm1' } : {}) };
    });
    const version = object('old', element('VersionId', 'v1'));
    const page = await runXml(
      deleteObjects,
      asking(object('a&b') + object('locked') + version + object('versioned')),
      services,
    );
    assert.deepEqual(
      page.children.map((row) => [row.name, told(row)]),
      [
        ['Deleted', { Key: 'a&b' }],
        ['Error', { Key: 'locked', Code: 'AccessDenied', Message: 'under retention until tomorrow' }],
        ['Deleted', { Key: 'old', VersionId: 'v1', DeleteMarker: 'true', DeleteMarkerVersionId: 'v1' }],
        ['Deleted', { Key: 'versioned', DeleteMarker: 'true', DeleteMarkerVersionId: 'm1' }],
      ],
    );
  });

  test('quiet tells the failures only', async () => {
    const services = recording(({ key }) => (key === 'bad' ? new SkerryError('SlowDown', 'later') : { marker: false }));
    const page = await runXml(deleteObjects, asking('<Quiet>true</Quiet>' + object('good') + object('bad')), services);
    assert.deepEqual(
      page.children.map((row) => [row.name, childText(row, 'Key')]),
      [['Error', 'bad']],
    );
  });

  test('authorises each key; what is refused never reaches the engine', async () => {
    const services = recording(() => ({ marker: false }));
    const allow: ServicesInit['allow'] = ({ action, resource }) =>
      !resource.endsWith('/mine') && (action === 's3:DeleteObject' || resource.endsWith('/free'));
    const versions = element('VersionId', 'v');
    const content = object('mine') + object('open') + object('open2', versions) + object('free', versions);
    const page = await runXml(deleteObjects, asking(content), { ...services, allow });
    assert.deepEqual(
      page.children.map((row) => [childText(row, 'Key'), childText(row, 'Code')]),
      [
        ['mine', 'AccessDenied'],
        ['open', undefined],
        ['open2', 'AccessDenied'],
        ['free', undefined],
      ],
    );
    assert.deepEqual(
      services.asked.map(({ key }) => key),
      ['open', 'free'],
    );
  });

  test('bypassing governance needs its own permission', async () => {
    const services = recording(() => ({ marker: false }));
    const request = { ...asking(object('a')), headers: { ...MD5, 'x-amz-bypass-governance-retention': 'true' } };
    await runXml(deleteObjects, request, services);
    assert.equal(services.asked[0]?.bypassGovernance, true);
    const refused = await runXml(deleteObjects, request, {
      allow: ({ action }) => action === 's3:DeleteObject',
      objects: { deleteObjects: async () => [] },
    });
    assert.equal(childText(children(refused, 'Error')[0]!, 'Code'), 'AccessDenied');
  });

  test('hands conditions on', async () => {
    const services = recording(() => ({ marker: false }));
    const conditions =
      element('ETag', '"abc"') + element('Size', 12) + element('LastModifiedTime', 'Wed, 21 Oct 2015 07:28:00 GMT');
    await runXml(deleteObjects, asking(object('a', conditions) + object('b', element('ETag', '*'))), services);
    assert.deepEqual(
      services.asked.map(({ condition }) => condition),
      [{ ifMatch: ['abc'], ifMatchModifiedAtMs: 1_445_412_480_000, ifMatchSize: 12 }, { ifMatch: ['*'] }],
    );
  });

  test('a key with surrounding blanks or a line break stays as it is', async () => {
    const services = recording(() => ({ marker: false }));
    await runXml(deleteObjects, asking(object(' a\r\n ')), services);
    assert.equal(services.asked[0]?.key, ' a\r\n ');
  });

  test('an engine that gives too few outcomes is an error on the key, not a success', async () => {
    const page = await runXml(deleteObjects, asking(object('a')), { objects: { deleteObjects: async () => [] } });
    assert.equal(childText(children(page, 'Error')[0]!, 'Code'), 'InternalError');
  });

  test('demands a digest of the body, of any kind', async () => {
    const body = deletion(object('a'));
    await assert.rejects(run(deleteObjects, { body }, gone), s3Code('InvalidRequest'));
    for (const header of ['content-md5', 'x-amz-checksum-crc32', 'x-amz-checksum-sha256', 'x-amz-trailer']) {
      assert.equal((await run(deleteObjects, { body, headers: { [header]: 'x' } }, gone)).status, 200, header);
    }
  });

  const malformed: Readonly<Record<string, string>> = {
    'no object': deletion(''),
    'no key': deletion('<Object/>'),
    'an empty key': deletion('<Object><Key/></Object>'),
    'two keys': deletion('<Object><Key>a</Key><Key>b</Key></Object>'),
    'an unknown element': deletion(`${object('a')}<Everything/>`),
    'an unknown element in an object': deletion(object('a', '<Recursive>true</Recursive>')),
    'another root': '<Remove><Object><Key>a</Key></Object></Remove>',
    'an unclosed root': '<Delete><Object><Key>a</Key></Object>',
    'two roots': deletion(object('a')) + deletion(object('b')),
    'a doctype': `<!DOCTYPE d [<!ENTITY a "b">]>${deletion(object('a'))}`,
    'a Quiet that is neither': deletion(`<Quiet>maybe</Quiet>${object('a')}`),
    'a size that is none': deletion(object('a', element('Size', '-1'))),
    'a time that is none': deletion(object('a', element('LastModifiedTime', 'yesterday'))),
    'more than 1,000 keys': deletion(object('a').repeat(1001)),
    nothing: '',
  };
  for (const [what, body] of Object.entries(malformed)) {
    test(`with ${what} is MalformedXML`, () =>
      assert.rejects(run(deleteObjects, { body, headers: MD5 }, gone), s3Code('MalformedXML')));
  }

  test('garbage is MalformedXML and deletes nothing', async () => {
    const services = recording(() => ({ marker: false }));
    const whole = deletion(object('a') + object('b', element('VersionId', 'v')));
    const cut = fc.nat(whole.length - 1).map((length) => whole.slice(0, length));
    const garbage = fc.oneof(
      cut,
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('<', '>', '/', 'Delete', 'Object', 'Key', 'a', '&', ' ') }),
    );
    await fc.assert(
      fc.asyncProperty(garbage, async (body) => {
        await assert.rejects(run(deleteObjects, { body, headers: MD5 }, services), s3Code('MalformedXML'));
      }),
      { seed: 11, numRuns: 500 },
    );
    assert.deepEqual(services.asked, []);
  });
});
