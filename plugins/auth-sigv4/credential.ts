/** `<access key>/<YYYYMMDD>/<region>/s3/aws4_request`, and what may be wrong with one. */
import type { SigV4Options } from './options.ts';
import { unauthenticated, type RefusalReason } from './refusals.ts';
import type { Scope } from './signing-keys.ts';

export interface Credential {
  readonly accessKeyId: string;
  readonly scope: Scope;
}

/** How one place of a credential words its faults: the header and the query have different codes. */
export interface CredentialPlace {
  readonly reason: RefusalReason;
  readonly prefix: string;
}

export const IN_HEADER: CredentialPlace = {
  reason: 'AuthorizationHeaderMalformed',
  prefix: 'The authorization header is malformed; ',
};
export const IN_QUERY: CredentialPlace = {
  reason: 'AuthorizationQueryParametersError',
  prefix: 'Error parsing the X-Amz-Credential parameter; ',
};

/** `date` is the day of the request's own time. An access key may hold slashes: the scope is the last four parts. */
export function parseCredential(
  text: string,
  date: string,
  options: Pick<SigV4Options, 'region' | 'acceptAnyRegion'>,
  place: CredentialPlace,
): Credential {
  const parts = text.split('/');
  const [scopeDate = '', region = '', service = '', terminator = ''] = parts.slice(-4);
  const accessKeyId = parts.slice(0, -4).join('/');
  const refuse = (fault: string, fields = {}) => unauthenticated(place.reason, `${place.prefix}${fault}`, fields);
  if (accessKeyId === '' || !/^[\x21-\x7e]{1,256}$/.test(text)) {
    throw refuse('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".');
  }
  if (terminator !== 'aws4_request')
    throw refuse(`incorrect terminal "${terminator}". This endpoint uses "aws4_request".`);
  if (service !== 's3') throw refuse(`incorrect service "${service}". This endpoint belongs to "s3".`);
  if (!/^\d{8}$/.test(scopeDate))
    throw refuse(`incorrect date format "${scopeDate}". This date in the credential must be in the format "yyyyMMdd".`);
  if (scopeDate !== date)
    throw refuse(`Invalid credential date "${scopeDate}". This date is not the same as X-Amz-Date: "${date}".`);
  if (region === '' || (!options.acceptAnyRegion && region !== options.region)) {
    throw refuse(`the region '${region}' is wrong; expecting '${options.region}'`, { Region: options.region });
  }
  return { accessKeyId, scope: { date: scopeDate, region } };
}

export function scopeText({ date, region }: Scope): string {
  return `${date}/${region}/s3/aws4_request`;
}
