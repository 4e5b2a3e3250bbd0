/** What PutBucketPolicy refuses beyond the grammar: a bucket's policy speaks of that bucket and of S3 only. */
import type { Json } from '../../../core/contracts/index.ts';
import { compilePolicy } from './document.ts';
import { malformedPolicy } from './malformed.ts';

/** AWS's own limit for a bucket policy. */
const MAX_BYTES = 20 * 1024;

/** Throws SkerryError `InvalidArgument` with reason `MalformedPolicy`. */
export function validateBucketPolicy(document: Json, bucket: string): void {
  const text = JSON.stringify(document);
  if (Buffer.byteLength(text) > MAX_BYTES) throw malformedPolicy(`Bucket policies are limited to ${MAX_BYTES} bytes`);
  for (const { actions, resources } of compilePolicy(document, 'bucket').statements) {
    const action = actions.find((name) => name !== '*' && !/^s3:/i.test(name));
    if (action !== undefined) throw malformedPolicy(`Policy has invalid action: ${action}`);
    const resource = resources.find((arn) => !speaksOf(arn, bucket));
    if (resource !== undefined) throw malformedPolicy(`Policy has invalid resource: ${resource}`);
  }
}

function speaksOf(resource: string, bucket: string): boolean {
  const arn = `arn:aws:s3:::${bucket}`;
  return resource === arn || resource === `${arn}*` || resource.startsWith(`${arn}/`);
}
