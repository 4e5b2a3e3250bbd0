/** Object Lock of single versions: retention and legal hold. Source: Amazon S3 User Guide, "Locking objects with Object Lock". */
import type { BucketInfo, Json, Retention, VersionSettings } from '../../core/contracts/index.ts';
import { parseHttpDate } from './conditions.ts';
import { invalidArgument, s3Error } from './errors.ts';
import type { S3Request } from './operation.ts';
import { S3_NAMESPACE, element, parseXmlRoot, requiredText, xmlDocument } from './xml.ts';

/** Throws unless the bucket was made with Object Lock. */
export function requireLockBucket(bucket: BucketInfo): void {
  if (!bucket.objectLock) throw s3Error('InvalidRequest', 'Bucket is missing Object Lock Configuration');
}

function retention(mode: string, untilText: string, nowMs: number): Retention {
  if (mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') {
    throw invalidArgument('x-amz-object-lock-mode', mode, 'Unknown wormMode directive.');
  }
  const until = parseHttpDate(untilText);
  if (until === undefined) {
    throw invalidArgument(
      'x-amz-object-lock-retain-until-date',
      untilText,
      'The retain until date must be provided in ISO 8601 format',
    );
  }
  if (until <= nowMs) {
    throw invalidArgument(
      'x-amz-object-lock-retain-until-date',
      untilText,
      'The retain until date must be in the future!',
    );
  }
  return { mode, until };
}

function legalHold(status: string): boolean {
  if (status !== 'ON' && status !== 'OFF') {
    throw invalidArgument('x-amz-object-lock-legal-hold', status, 'Legal Hold must be either of ‘ON’ or ‘OFF’');
  }
  return status === 'ON';
}

/** What `x-amz-object-lock-*` of a write asks for. */
export function lockSettings(request: S3Request, bucket: BucketInfo, nowMs: number): VersionSettings | undefined {
  const mode = request.header('x-amz-object-lock-mode');
  const until = request.header('x-amz-object-lock-retain-until-date');
  const hold = request.header('x-amz-object-lock-legal-hold');
  if (mode === undefined && until === undefined && hold === undefined) return undefined;
  requireLockBucket(bucket);
  if ((mode === undefined) !== (until === undefined)) {
    const message = 'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied';
    throw s3Error('InvalidArgument', message);
  }
  const settings: { retention?: Json; legalHold?: Json } = {};
  if (mode !== undefined && until !== undefined) settings.retention = toJson(retention(mode, until, nowMs));
  if (hold !== undefined && legalHold(hold)) settings.legalHold = 'ON';
  return settings;
}

export function toJson({ mode, until }: Retention): Json {
  return { mode, until };
}

/** The retention that a version's setting holds. */
export function retentionOf(settings: VersionSettings): Retention | undefined {
  return (settings.retention as unknown as Retention | null | undefined) ?? undefined;
}

export function holdOf(settings: VersionSettings): 'ON' | 'OFF' | undefined {
  const value = settings.legalHold;
  return value === 'ON' || value === 'OFF' ? value : undefined;
}

/** A `<Retention>` document; empty clears. */
export function readRetention(text: string, nowMs: number): Retention | undefined {
  const root = parseXmlRoot(text, 'Retention');
  if (root.children.length === 0) return undefined;
  return retention(requiredText(root, 'Mode').trim(), requiredText(root, 'RetainUntilDate').trim(), nowMs);
}

export function writeRetention({ mode, until }: Retention): string {
  const content = element('Mode', mode) + element('RetainUntilDate', new Date(until).toISOString());
  return xmlDocument('Retention', S3_NAMESPACE, content);
}

/** A `<LegalHold>` document. */
export function readLegalHold(text: string): 'ON' | 'OFF' {
  return legalHold(requiredText(parseXmlRoot(text, 'LegalHold'), 'Status').trim()) ? 'ON' : 'OFF';
}

export function writeLegalHold(status: 'ON' | 'OFF'): string {
  return xmlDocument('LegalHold', S3_NAMESPACE, element('Status', status));
}

/** Throws AccessDenied when a retention may not become another: it can always grow, shrink only under governance with the bypass. */
export function checkRetentionChange(
  before: Retention | undefined,
  after: Retention | undefined,
  nowMs: number,
  bypass: boolean,
): void {
  if (before === undefined || before.until <= nowMs) return;
  if (after !== undefined && after.mode === before.mode && after.until >= before.until) return;
  if (before.mode === 'GOVERNANCE' && bypass) return;
  throw s3Error('AccessDenied', 'Access Denied because object protected by object lock');
}

/** Headers that tell of a version's locks. */
export function lockHeaders(settings: VersionSettings): Record<string, string> {
  const headers: Record<string, string> = {};
  const kept = retentionOf(settings);
  if (kept !== undefined) {
    headers['x-amz-object-lock-mode'] = kept.mode;
    headers['x-amz-object-lock-retain-until-date'] = new Date(kept.until).toISOString();
  }
  const hold = holdOf(settings);
  if (hold !== undefined) headers['x-amz-object-lock-legal-hold'] = hold;
  return headers;
}

/** `x-amz-object-lock-*` of a write need permissions of their own. */
export function requireLockPermissions(request: S3Request, demand: (action: string) => void): void {
  if (request.header('x-amz-object-lock-mode') !== undefined) demand('s3:PutObjectRetention');
  if (request.header('x-amz-object-lock-legal-hold') !== undefined) demand('s3:PutObjectLegalHold');
}
