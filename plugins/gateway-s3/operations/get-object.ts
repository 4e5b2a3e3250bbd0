/** GetObject and HeadObject: conditions, then what part of the object, then headers, then bytes. */
import type {
  ObjectRef,
  OpenObject,
  PartSummary,
  VersionContent,
  VersionInfo,
  Versioning,
} from '../../../core/contracts/index.ts';
import { isAllowed } from '../authorize.ts';
import { conflictHeaders } from '../conflict-headers.ts';
import { checkReadConditions, rangeApplies } from '../conditions.ts';
import { invalidArgument, s3Error } from '../errors.ts';
import { lockHeaders } from '../object-lock.ts';
import { checksumHeaders, describeVersion, headerValue, validatorHeaders } from '../object-headers.ts';
import type { S3Operation, S3Request, S3Response, S3Services } from '../operation.ts';
import { contentRange, lengthOf, parseRange, type ByteRange } from '../range.ts';
import { objectRef } from '../target.ts';

type Content = VersionInfo & { readonly content: VersionContent };

/** Query parameters that replace response headers, for signed requests. */
const OVERRIDES: Readonly<Record<string, string>> = {
  'response-cache-control': 'cache-control',
  'response-content-disposition': 'content-disposition',
  'response-content-encoding': 'content-encoding',
  'response-content-language': 'content-language',
  'response-content-type': 'content-type',
  'response-expires': 'expires',
};

/** Which bytes are answered: all, one range, or several. */
type Selection =
  | { readonly kind: 'whole' }
  | { readonly kind: 'one'; readonly range: ByteRange; readonly partChecksum?: string }
  | { readonly kind: 'many'; readonly ranges: readonly ByteRange[] };

const WHOLE: Selection = { kind: 'whole' };

function partNumberOf(request: S3Request): number | undefined {
  const text = request.query.get('partNumber');
  if (text === undefined) return undefined;
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > 10_000) {
    throw invalidArgument('partNumber', text, 'Part number must be an integer between 1 and 10000, inclusive');
  }
  if (request.header('range') !== undefined) {
    throw s3Error('InvalidRequest', 'Cannot specify both Range header and partNumber query parameter');
  }
  return number;
}

function selectRange(request: S3Request, info: Content): Selection {
  const header = request.header('range');
  if (header === undefined) return WHOLE;
  const { size, etag } = info.content;
  if (!rangeApplies(request.header('if-range'), { etag, modifiedAtMs: info.modifiedAtMs })) return WHOLE;
  const selected = parseRange(header, size);
  if (selected.kind === 'whole') return WHOLE;
  if (selected.kind === 'none') {
    throw s3Error('InvalidRange', undefined, {
      fields: { RangeRequested: header, ActualObjectSize: String(size) },
      headers: { 'content-range': `bytes */${size}` },
    });
  }
  const [only] = selected.ranges;
  return selected.ranges.length === 1 && only !== undefined
    ? { kind: 'one', range: only }
    : { kind: 'many', ranges: selected.ranges };
}

function selectPart(number: number, parts: readonly PartSummary[] | undefined, size: number): Selection {
  if (parts === undefined) {
    if (number > 1)
      throw s3Error('InvalidPartNumber', undefined, {
        fields: { PartNumberRequested: String(number), ActualPartCount: '1' },
      });
    return size === 0 ? WHOLE : { kind: 'one', range: { start: 0, end: size - 1 } };
  }
  let start = 0;
  for (const [index, part] of parts.entries()) {
    if (index + 1 === number) {
      const range = { start, end: start + part.size - 1 };
      if (part.size === 0) return WHOLE;
      return part.checksum === undefined ? { kind: 'one', range } : { kind: 'one', range, partChecksum: part.checksum };
    }
    start += part.size;
  }
  const fields = { PartNumberRequested: String(number), ActualPartCount: String(parts.length) };
  throw s3Error('InvalidPartNumber', undefined, { fields });
}

function overrides(request: S3Request): Record<string, string> | undefined {
  let found: Record<string, string> | undefined;
  for (const [name, value] of request.query) {
    const header = OVERRIDES[name];
    if (header === undefined) continue;
    found ??= {};
    found[header] = headerValue(value);
  }
  if (found !== undefined && request.principal.anonymous) {
    throw s3Error('InvalidRequest', 'Request specific response headers cannot be used for anonymous GET requests.');
  }
  return found;
}

/** Checksums are of the whole object, or of the part that was asked for; a client would verify them against any body. */
function addChecksums(headers: Record<string, string>, request: S3Request, info: Content, selection: Selection): void {
  if (request.header('x-amz-checksum-mode')?.toUpperCase() !== 'ENABLED') return;
  const { checksums } = info.content;
  if (selection.kind === 'whole') {
    Object.assign(headers, checksumHeaders(checksums));
    return;
  }
  const [first] = checksums ?? [];
  if (selection.kind !== 'one' || selection.partChecksum === undefined || first === undefined) return;
  headers[`x-amz-checksum-${first.algorithm.toLowerCase()}`] = selection.partChecksum;
  headers['x-amz-checksum-type'] = first.type;
}

async function addTagCount(
  headers: Record<string, string>,
  request: S3Request,
  services: S3Services,
  info: Content,
): Promise<void> {
  const { tags } = info.settings;
  if (tags === undefined || tags === null) return;
  const bucket = await request.bucketInfo();
  if (!isAllowed(request, services, 's3:GetObjectTagging', { bucket, key: request.key })) return;
  headers['x-amz-tagging-count'] = String(Object.keys(tags).length);
}

interface Described {
  readonly status: 200 | 206;
  readonly headers: Record<string, string>;
  readonly selection: Selection;
  /** Bytes of the object that are answered, for `whole` and `one`. */
  readonly range: ByteRange;
}

/** Everything but the bytes: throws NotModified, PreconditionFailed, InvalidRange, InvalidPartNumber. */
async function describe(
  request: S3Request,
  services: S3Services,
  found: { readonly info: Content; readonly versioning: Versioning },
  parts: readonly PartSummary[] | undefined,
  partNumber: number | undefined,
): Promise<Described> {
  const { info, versioning } = found;
  const { size, etag } = info.content;
  checkReadConditions(request, { etag, modifiedAtMs: info.modifiedAtMs }, () => validatorHeaders(info, versioning));
  const selection = partNumber === undefined ? selectRange(request, info) : selectPart(partNumber, parts, size);
  const headers = describeVersion(info, versioning);
  const replaced = overrides(request);
  if (replaced !== undefined) Object.assign(headers, replaced);
  addChecksums(headers, request, info, selection);
  await addTagCount(headers, request, services, info);
  Object.assign(headers, await conflictHeaders(services.objects, info));
  if (info.settings.retention !== undefined || info.settings.legalHold !== undefined) {
    Object.assign(headers, lockHeaders(info.settings));
  }
  if (partNumber !== undefined && parts !== undefined) headers['x-amz-mp-parts-count'] = String(parts.length);
  const range = selection.kind === 'one' ? selection.range : { start: 0, end: size - 1 };
  if (selection.kind === 'one') headers['content-range'] = contentRange(range, size);
  headers['content-length'] = String(lengthOf(range));
  return { status: selection.kind === 'whole' ? 200 : 206, headers, selection, range };
}

/** A `multipart/byteranges` body, its length known beforehand. Source: RFC 9110 section 14.6. */
async function manyRanges(
  request: S3Request,
  opened: OpenObject,
  described: Described,
  ranges: readonly ByteRange[],
): Promise<S3Response> {
  const { size } = opened.info.content;
  const boundary = `skerry-${request.id}`;
  const type = described.headers['content-type'] ?? '';
  const parts = ranges.map((range) => {
    const lines = `Content-Type: ${type}\r\nContent-Range: ${contentRange(range, size)}`;
    return { range, head: Buffer.from(`\r\n--${boundary}\r\n${lines}\r\n\r\n`, 'latin1') };
  });
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const length = parts.reduce((sum, { head, range }) => sum + head.length + lengthOf(range), tail.length);
  async function* body(): AsyncGenerator<Uint8Array> {
    for (const { head, range } of parts) {
      const { pieces, end } = await begun(opened.read(range.start, lengthOf(range), request.signal));
      try {
        yield head;
        yield* pieces;
      } finally {
        end();
      }
    }
    yield tail;
  }
  const headers = {
    ...described.headers,
    'content-type': `multipart/byteranges; boundary=${boundary}`,
    'content-length': String(length),
  };
  const { pieces, end } = await begun(body());
  return { status: 206, headers, body: pieces, done: () => (end(), opened.close()) };
}

async function answer(
  request: S3Request,
  services: S3Services,
  opened: OpenObject,
  partNumber: number | undefined,
): Promise<S3Response> {
  const parts = partNumber === undefined ? undefined : await opened.parts();
  const described = await describe(request, services, opened, parts, partNumber);
  const { status, headers, selection, range } = described;
  if (selection.kind === 'many') return manyRanges(request, opened, described, selection.ranges);
  const length = lengthOf(range);
  const done = () => opened.close();
  if (length === 0) return { status, headers, done };
  const now = opened.readNow(range.start, length);
  if (now !== undefined) return { status, headers, body: now, done };
  const body = await begun(opened.read(range.start, length, request.signal));
  return { status, headers, body: body.pieces, done: () => (body.end(), opened.close()) };
}

/** The first piece is here before the head goes out: bytes that cannot be had are then still told by a status. */
async function begun(
  pieces: AsyncIterable<Uint8Array>,
): Promise<{ readonly pieces: AsyncIterable<Uint8Array>; readonly end: () => void }> {
  const iterator = pieces[Symbol.asyncIterator]();
  let first: IteratorResult<Uint8Array> | undefined = await iterator.next();
  const rest: AsyncIterator<Uint8Array> = {
    async next() {
      const next = first ?? (await iterator.next());
      first = undefined;
      return next;
    },
    return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
  };
  // what was read ahead is given back, also when nobody came for the first piece
  return { pieces: { [Symbol.asyncIterator]: () => rest }, end: () => void iterator.return?.() };
}

/** GET /bucket/key */
export const getObject: S3Operation = {
  name: 'GetObject',
  action: 's3:GetObject',
  versionAction: 's3:GetObjectVersion',
  resource: 'object',
  async run(request, services) {
    const partNumber = partNumberOf(request);
    const opened = await services.objects.openObject(objectRef(request));
    try {
      return await answer(request, services, opened, partNumber);
    } catch (error) {
      opened.close();
      throw error;
    }
  },
};

async function partsOf(services: S3Services, ref: ObjectRef): Promise<readonly PartSummary[] | undefined> {
  const opened = await services.objects.openObject(ref);
  try {
    return await opened.parts();
  } finally {
    opened.close();
  }
}

/** HEAD /bucket/key */
export const headObject: S3Operation = {
  name: 'HeadObject',
  action: 's3:GetObject',
  versionAction: 's3:GetObjectVersion',
  resource: 'object',
  async run(request, services) {
    const partNumber = partNumberOf(request);
    const found = await services.objects.headObject(objectRef(request));
    const pinned = { ...objectRef(request), versionId: found.info.versionId };
    const parts = partNumber === undefined ? undefined : await partsOf(services, pinned);
    const { status, headers, selection } = await describe(request, services, found, parts, partNumber);
    // Several ranges make sense of a body only.
    if (selection.kind === 'many') headers['content-length'] = String(found.info.content.size);
    return { status: selection.kind === 'many' ? 200 : status, headers };
  },
};
