/** A policy document that cannot be used, as PutBucketPolicy answers it. */
import { SkerryError } from '../../../core/contracts/index.ts';

export function malformedPolicy(message: string): SkerryError {
  return new SkerryError('InvalidArgument', message, { details: { reason: 'MalformedPolicy' } });
}
