/** Refusals by their S3 code. `details.reason` is that code, `details.fields` the further elements of AWS's error body. */
import { SkerryError } from '../../core/contracts/index.ts';

type Fields = Readonly<Record<string, string>>;

/** Codes that AWS answers to a request that it could not tie to a caller. */
export type RefusalReason =
  | 'AuthorizationHeaderMalformed'
  | 'AuthorizationQueryParametersError'
  | 'InvalidAccessKeyId'
  | 'InvalidArgument'
  | 'InvalidRequest'
  | 'InvalidToken'
  | 'RequestTimeTooSkewed'
  | 'SignatureDoesNotMatch';

export function unauthenticated(reason: RefusalReason, message: string, fields: Fields = {}): SkerryError {
  return new SkerryError('Unauthenticated', message, { details: { reason, fields } });
}

export function accessDenied(message: string, fields: Fields = {}): SkerryError {
  return new SkerryError('AccessDenied', message, { details: { reason: 'AccessDenied', fields } });
}
