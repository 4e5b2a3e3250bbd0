/** POST /bucket/key?uploadId=...: CompleteMultipartUpload. The engine decides order, sizes and ETags. */
import type {
  ChecksumAlgorithm,
  CompleteUploadInput,
  CompletedPart,
  UploadRef,
  WriteResult,
} from '../../../core/contracts/index.ts';
import { CHECKSUMS } from '../body.ts';
import { checksumElements } from '../checksum-xml.ts';
import { parseEtags, writeCondition } from '../conditions.ts';
import { invalidArgument, s3Error } from '../errors.ts';
import { urlEncode } from '../listing-query.ts';
import { writeResultHeaders } from '../object-headers.ts';
import type { S3Operation, S3Request } from '../operation.ts';
import { xmlResponse } from '../setting-operation.ts';
import { MAX_PARTS, checksumType, uploadOf } from '../upload.ts';
import {
  S3_NAMESPACE,
  childText,
  children,
  element,
  parseXmlRoot,
  requiredText,
  xmlDocument,
  type XmlNode,
} from '../xml.ts';

/** 10,000 parts with all their checksums. */
const MAX_BODY_BYTES = 8_388_608;
const KNOWN_ELEMENTS: ReadonlySet<string> = new Set([
  'PartNumber',
  'ETag',
  ...CHECKSUMS.map(({ algorithm }) => `Checksum${algorithm}`),
]);

export const completeMultipartUpload: S3Operation = {
  name: 'CompleteMultipartUpload',
  action: 's3:PutObject',
  resource: 'object',
  async run(request, { objects }) {
    const upload = uploadOf(request);
    const condition = writeCondition(request);
    const checksum = objectChecksum(request);
    const expectedSize = objectSize(request);
    const parts = readParts(await request.text(MAX_BODY_BYTES, { checksumsOfObject: true }));
    const result = await objects.completeUpload({
      ...upload,
      parts,
      ...(condition === undefined ? {} : { condition }),
      ...(checksum === undefined ? {} : { checksum }),
      ...(expectedSize === undefined ? {} : { expectedSize }),
    });
    const answer = xmlResponse(
      xmlDocument('CompleteMultipartUploadResult', S3_NAMESPACE, content(request, upload, result)),
    );
    return { ...answer, headers: { ...answer.headers, ...writeResultHeaders(result) } };
  },
};

function content(request: S3Request, { bucket, key }: UploadRef, result: WriteResult): string {
  return (
    element('Location', locationOf(request, bucket, key)) +
    element('Bucket', bucket) +
    element('Key', key) +
    element('ETag', `"${result.etag}"`) +
    checksumElements(result.checksums) +
    element('ChecksumType', result.checksums[0]?.type)
  );
}

/** The object's address as this client reaches it. */
function locationOf({ secure, host }: S3Request, bucket: string, key: string): string {
  const path = host.startsWith(`${bucket}.`) ? urlEncode(key) : `${bucket}/${urlEncode(key)}`;
  return `${secure ? 'https' : 'http'}://${host}/${path}`;
}

function readParts(text: string): readonly CompletedPart[] {
  const root = parseXmlRoot(text, 'CompleteMultipartUpload');
  const parts = children(root, 'Part');
  if (parts.length === 0 || parts.length > MAX_PARTS || parts.length !== root.children.length) {
    throw s3Error('MalformedXML');
  }
  return parts.map(readPart);
}

function readPart(node: XmlNode): CompletedPart {
  if (node.children.some(({ name }) => !KNOWN_ELEMENTS.has(name))) throw s3Error('MalformedXML');
  const number = requiredText(node, 'PartNumber').trim();
  const [etag] = parseEtags(requiredText(node, 'ETag'));
  if (!/^\d{1,9}$/.test(number) || etag === undefined) throw s3Error('MalformedXML');
  if (Number(number) < 1 || Number(number) > MAX_PARTS) {
    throw invalidArgument('PartNumber', number, `PartNumber must be an integer between 1 and ${MAX_PARTS}, inclusive`);
  }
  const checksums: Partial<Record<ChecksumAlgorithm, string>> = {};
  for (const { algorithm } of CHECKSUMS) {
    const value = childText(node, `Checksum${algorithm}`)?.trim();
    if (value !== undefined) checksums[algorithm] = value;
  }
  return { number: Number(number), etag, ...(Object.keys(checksums).length === 0 ? {} : { checksums }) };
}

/** `x-amz-checksum-*` here is the whole object's. */
function objectChecksum(request: S3Request): CompleteUploadInput['checksum'] {
  const given = CHECKSUMS.flatMap(({ algorithm, header }) => {
    const expected = request.header(header)?.trim();
    return expected === undefined ? [] : [{ algorithm, expected }];
  });
  if (given.length > 1) {
    const message = 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.';
    throw s3Error('InvalidRequest', message);
  }
  const type = checksumType(request);
  const [one] = given;
  return one === undefined || type === undefined ? one : { ...one, type };
}

function objectSize(request: S3Request): number | undefined {
  const text = request.header('x-amz-mp-object-size');
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw invalidArgument('x-amz-mp-object-size', text, 'x-amz-mp-object-size must be a number of bytes.');
}
