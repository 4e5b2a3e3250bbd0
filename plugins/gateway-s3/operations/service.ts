/** GET /: ListBuckets. */
import type { BucketInfo } from '../../../core/contracts/index.ts';
import { isAllowed } from '../authorize.ts';
import { invalidArgument } from '../errors.ts';
import { isoSeconds } from '../listing-page.ts';
import { afterOfToken, continuationToken, integerParameter } from '../listing-query.ts';
import type { S3Operation, S3Request, S3Services } from '../operation.ts';
import { S3_NAMESPACE, element, group, xmlDocument } from '../xml.ts';

const MAX_BUCKETS = 10_000;
const PAGE = 1000;

/** The buckets that the caller owns, and those that policies let it list. */
export const listBuckets: S3Operation = {
  name: 'ListBuckets',
  action: 's3:ListAllMyBuckets',
  resource: 'account',
  async run(request, services) {
    const { query, principal } = request;
    const limit = bucketLimit(query);
    const prefix = query.get('prefix');
    const region = query.get('bucket-region') ?? services.options.region;
    const found = region === services.options.region ? await visibleBuckets(request, services, limit + 1) : [];
    const shown = found.slice(0, limit);
    const last = shown.at(-1);
    const next = found.length > limit && last !== undefined ? continuationToken(last.name) : undefined;
    const owner = element('ID', principal.userId) + element('DisplayName', principal.displayName);
    const buckets = shown.map((info) => bucketRow(info, services.options.region)).join('');
    const content =
      group('Owner', owner) +
      group('Buckets', buckets) +
      element('ContinuationToken', next) +
      element('Prefix', prefix);
    return {
      status: 200,
      headers: { 'content-type': 'application/xml' },
      body: xmlDocument('ListAllMyBucketsResult', S3_NAMESPACE, content),
    };
  },
};

function bucketLimit(query: S3Request['query']): number {
  const limit = integerParameter(query, 'max-buckets', MAX_BUCKETS);
  if (limit >= 1 && limit <= MAX_BUCKETS) return limit;
  const message = `Argument max-buckets must be an integer between 1 and ${MAX_BUCKETS}`;
  throw invalidArgument('max-buckets', String(limit), message);
}

async function visibleBuckets(request: S3Request, services: S3Services, limit: number): Promise<readonly BucketInfo[]> {
  const prefix = request.query.get('prefix') ?? '';
  const token = request.query.get('continuation-token') ?? '';
  const found: BucketInfo[] = [];
  let after = token === '' ? undefined : afterOfToken(token);
  do {
    const page = await services.objects.listBuckets({
      limit: PAGE,
      ...(prefix === '' ? {} : { prefix }),
      ...(after === undefined ? {} : { after }),
    });
    found.push(...page.entries.filter((bucket) => isVisible(request, services, bucket)));
    after = page.next;
  } while (after !== undefined && found.length < limit);
  return found;
}

function isVisible(request: S3Request, services: S3Services, bucket: BucketInfo): boolean {
  return bucket.owner === request.principal.userId || isAllowed(request, services, 's3:ListBucket', { bucket });
}

function bucketRow({ name, createdAtMs }: BucketInfo, region: string): string {
  return group(
    'Bucket',
    element('Name', name) + element('CreationDate', isoSeconds(createdAtMs)) + element('BucketRegion', region),
  );
}
