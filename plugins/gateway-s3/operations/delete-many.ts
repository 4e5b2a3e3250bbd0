/** POST /bucket?delete: DeleteObjects. Each key is authorised, decided and reported on its own. */
import { SkerryError, type DeleteResult, type WriteCondition } from '../../../core/contracts/index.ts';
import { isAllowed } from '../authorize.ts';
import { CHECKSUMS } from '../body.ts';
import { parseEtags, parseHttpDate } from '../conditions.ts';
import { s3Error, toS3Error } from '../errors.ts';
import type { S3Operation, S3Request, S3Services } from '../operation.ts';
import { S3_NAMESPACE, childText, children, element, group, parseXmlRoot, xmlDocument, type XmlNode } from '../xml.ts';

const MAX_KEYS = 1000;
/** 1,000 keys of 1,024 bytes, most of them escaped. */
const MAX_BODY_BYTES = 8_388_608;
const KNOWN_ELEMENTS: ReadonlySet<string> = new Set(['Key', 'VersionId', 'ETag', 'LastModifiedTime', 'Size']);

interface Wanted {
  readonly key: string;
  readonly versionId?: string;
  readonly condition?: WriteCondition;
}

type Outcome = DeleteResult | Error;

export const deleteObjects: S3Operation = {
  name: 'DeleteObjects',
  action: 's3:DeleteObject',
  resource: 'bucket',
  authorizesItself: true,
  async run(request, services) {
    requireIntegrity(request);
    const { quiet, wanted } = readDelete(await request.text(MAX_BODY_BYTES));
    const outcomes = await deleteAllowed(request, services, wanted);
    let rows = '';
    for (const one of wanted) rows += outcomeRow(one, outcomes.get(one) ?? NO_OUTCOME, quiet, request, services);
    return {
      status: 200,
      headers: { 'content-type': 'application/xml' },
      body: xmlDocument('DeleteResult', S3_NAMESPACE, rows),
    };
  },
};

/** A list of names to destroy must not arrive garbled: AWS demands a digest of the body, and any will do. */
function requireIntegrity(request: S3Request): void {
  const names = ['content-md5', 'x-amz-trailer', ...CHECKSUMS.map(({ header }) => header)];
  if (names.some((name) => request.header(name) !== undefined)) return;
  throw s3Error('InvalidRequest', 'Missing required header for this request: Content-MD5 OR x-amz-checksum-*');
}

function readDelete(text: string): { readonly quiet: boolean; readonly wanted: readonly Wanted[] } {
  const root = parseXmlRoot(text, 'Delete');
  const quiet = (childText(root, 'Quiet')?.trim() ?? 'false').toLowerCase();
  const objects = children(root, 'Object');
  const others = root.children.length - objects.length - children(root, 'Quiet').length;
  if (objects.length === 0 || objects.length > MAX_KEYS || others > 0 || (quiet !== 'true' && quiet !== 'false')) {
    throw s3Error('MalformedXML');
  }
  return { quiet: quiet === 'true', wanted: objects.map(readObject) };
}

function readObject(node: XmlNode): Wanted {
  const key = childText(node, 'Key');
  const names = node.children.map(({ name }) => name);
  const repeated = new Set(names).size !== names.length;
  if (key === undefined || key === '' || repeated || names.some((name) => !KNOWN_ELEMENTS.has(name))) {
    throw s3Error('MalformedXML');
  }
  const versionId = childText(node, 'VersionId')?.trim() ?? '';
  const condition = readCondition(node);
  return {
    key,
    ...(versionId === '' ? {} : { versionId }),
    ...(condition === undefined ? {} : { condition }),
  };
}

function readCondition(node: XmlNode): WriteCondition | undefined {
  const etag = childText(node, 'ETag')?.trim();
  const modified = childText(node, 'LastModifiedTime')?.trim();
  const size = childText(node, 'Size')?.trim();
  if (etag === undefined && modified === undefined && size === undefined) return undefined;
  return {
    ...(etag === undefined ? {} : { ifMatch: parseEtags(etag) }),
    ...(modified === undefined ? {} : { ifMatchModifiedAtMs: readTime(modified) }),
    ...(size === undefined ? {} : { ifMatchSize: readSize(size) }),
  };
}

function readTime(text: string): number {
  const unixMs = parseHttpDate(text);
  if (unixMs === undefined) throw s3Error('MalformedXML', 'LastModifiedTime is not a date.');
  return unixMs;
}

function readSize(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw s3Error('MalformedXML', 'Size is not a number of bytes.');
  return Number(text);
}

/** One outcome for each wanted key; what is not allowed never reaches the engine. */
async function deleteAllowed(
  request: S3Request,
  services: S3Services,
  wanted: readonly Wanted[],
): Promise<ReadonlyMap<Wanted, Outcome>> {
  const bucket = await request.bucketInfo();
  const bypass = request.header('x-amz-bypass-governance-retention')?.toLowerCase() === 'true';
  const may = ({ key, versionId }: Wanted): boolean =>
    isAllowed(request, services, versionId === undefined ? 's3:DeleteObject' : 's3:DeleteObjectVersion', {
      bucket,
      key,
    }) &&
    (!bypass || isAllowed(request, services, 's3:BypassGovernanceRetention', { bucket, key }));
  const outcomes = new Map<Wanted, Outcome>();
  for (const one of wanted) if (!may(one)) outcomes.set(one, s3Error('AccessDenied'));
  const allowed = wanted.filter((one) => !outcomes.has(one));
  const common = {
    bucket: bucket.name,
    owner: request.principal.userId,
    ...(bypass ? { bypassGovernance: true } : {}),
  };
  const decided = await services.objects.deleteObjects(allowed.map((one) => ({ ...common, ...one })));
  for (const [index, one] of allowed.entries()) outcomes.set(one, decided[index] ?? NO_OUTCOME);
  return outcomes;
}

/** Shown as InternalError. */
const NO_OUTCOME: Error = new SkerryError('Internal', 'the engine gave no outcome for a key');

function outcomeRow(
  wanted: Wanted,
  outcome: Outcome,
  quiet: boolean,
  request: S3Request,
  services: S3Services,
): string {
  const { key, versionId } = wanted;
  if (outcome instanceof Error) {
    const error = toS3Error(outcome);
    if (error.code === 'InternalError') {
      services.logger.error({ requestId: request.id, err: outcome, bucket: request.bucket }, 'deleting a key failed');
    }
    const identity = element('Key', key) + element('VersionId', versionId);
    return group('Error', identity + element('Code', error.code) + element('Message', error.message));
  }
  return quiet ? '' : group('Deleted', element('Key', key) + element('VersionId', versionId) + markerFields(outcome));
}

function markerFields({ marker, versionId }: DeleteResult): string {
  return marker ? element('DeleteMarker', true) + element('DeleteMarkerVersionId', versionId) : '';
}
