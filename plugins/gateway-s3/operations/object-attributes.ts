/** GetObjectAttributes. */
import type { ObjectChecksum, OpenObject, PartSummary } from '../../../core/contracts/index.ts';
import { checksumElements } from '../checksum-xml.ts';
import { checkReadConditions } from '../conditions.ts';
import { invalidArgument, s3Error } from '../errors.ts';
import { validatorHeaders } from '../object-headers.ts';
import type { S3Operation, S3Request } from '../operation.ts';
import { objectRef } from '../target.ts';
import { S3_NAMESPACE, element, group, xmlDocument } from '../xml.ts';

const NAMES: ReadonlySet<string> = new Set(['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize']);
const MAX_PARTS_PAGE = 1000;

function wantedNames(request: S3Request): ReadonlySet<string> {
  const header = request.header('x-amz-object-attributes') ?? '';
  const names = header
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0)
    throw s3Error(
      'InvalidRequest',
      'The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty',
    );
  for (const name of names) {
    if (!NAMES.has(name)) throw invalidArgument('x-amz-object-attributes', name, 'Invalid attribute name specified.');
  }
  return new Set(names);
}

function number(request: S3Request, header: string, fallback: number): number {
  const text = request.header(header);
  if (text === undefined) return fallback;
  if (!/^\d{1,9}$/.test(text)) throw invalidArgument(header, text, `${header} must be a whole number.`);
  return Number(text);
}

function partElement(part: PartSummary, checksum: ObjectChecksum | undefined): string {
  const sum =
    checksum === undefined || part.checksum === undefined
      ? ''
      : element(`Checksum${checksum.algorithm}`, part.checksum);
  return group('Part', element('PartNumber', part.number) + element('Size', part.size) + sum);
}

function partsElement(request: S3Request, parts: readonly PartSummary[], checksum: ObjectChecksum | undefined): string {
  const limit = Math.min(number(request, 'x-amz-max-parts', MAX_PARTS_PAGE), MAX_PARTS_PAGE);
  const marker = number(request, 'x-amz-part-number-marker', 0);
  const rest = parts.filter((part) => part.number > marker);
  const page = rest.slice(0, limit);
  const truncated = rest.length > page.length;
  // AWS lists the parts themselves only when they carry checksums of their own.
  const listed = checksum === undefined ? '' : page.map((part) => partElement(part, checksum)).join('');
  return group(
    'ObjectParts',
    element('PartsCount', parts.length) +
      element('PartNumberMarker', marker) +
      (truncated ? element('NextPartNumberMarker', page.at(-1)?.number ?? marker) : '') +
      element('MaxParts', limit) +
      element('IsTruncated', truncated) +
      listed,
  );
}

async function attributes(request: S3Request, opened: OpenObject, wanted: ReadonlySet<string>): Promise<string> {
  const { content } = opened.info;
  const [checksum] = content.checksums ?? [];
  const parts = wanted.has('ObjectParts') ? await opened.parts() : undefined;
  const sums = content.checksums ?? [];
  return (
    (wanted.has('ETag') ? element('ETag', content.etag) : '') +
    (wanted.has('Checksum') && sums.length > 0
      ? group('Checksum', checksumElements(sums) + element('ChecksumType', checksum?.type))
      : '') +
    (parts === undefined ? '' : partsElement(request, parts, checksum)) +
    (wanted.has('StorageClass') ? element('StorageClass', content.storageClass) : '') +
    (wanted.has('ObjectSize') ? element('ObjectSize', content.size) : '')
  );
}

/** GET /bucket/key?attributes */
export const getObjectAttributes: S3Operation = {
  name: 'GetObjectAttributes',
  action: 's3:GetObjectAttributes',
  versionAction: 's3:GetObjectVersionAttributes',
  resource: 'object',
  async run(request, services) {
    const wanted = wantedNames(request);
    const opened = await services.objects.openObject(objectRef(request));
    try {
      const { info, versioning } = opened;
      const validators = { etag: info.content.etag, modifiedAtMs: info.modifiedAtMs };
      checkReadConditions(request, validators, () => validatorHeaders(info, versioning));
      const body = xmlDocument('GetObjectAttributesResponse', S3_NAMESPACE, await attributes(request, opened, wanted));
      const { etag: _etag, ...headers } = validatorHeaders(info, versioning);
      return { status: 200, headers: { ...headers, 'content-type': 'application/xml' }, body };
    } finally {
      opened.close();
    }
  },
};
