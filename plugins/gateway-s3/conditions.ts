/** Conditional requests: reads by RFC 9110 section 13.2.2, copy sources by the same rules, writes handed on to be decided in the commit. */
import type { WriteCondition } from '../../core/contracts/index.ts';
import { invalidArgument, s3Error, type S3Error } from './errors.ts';
import type { S3Request } from './operation.ts';

/** What conditions are compared with. */
export interface Validators {
  /** Without quotes. */
  readonly etag: string;
  readonly modifiedAtMs: number;
}

const IMF = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
const RFC850 = /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/;
const ASCTIME = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/;
const ISO = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$/;

/** Unix milliseconds of an HTTP date (three forms) or an ISO 8601 one; `undefined` for anything else. */
export function parseHttpDate(text: string): number | undefined {
  const trimmed = text.trim();
  const readable = IMF.test(trimmed) || RFC850.test(trimmed) || ISO.test(trimmed);
  const ms = Date.parse(readable ? trimmed : ASCTIME.test(trimmed) ? `${trimmed} GMT` : '');
  return Number.isNaN(ms) ? undefined : ms;
}

/** Entity tags of a list, without quotes; weak ones keep their `W/`. Tags without quotes are taken as AWS takes them. */
export function parseEtags(header: string): readonly string[] {
  const tags: string[] = [];
  for (const [, weak, quoted, bare] of header.matchAll(/(W\/)?"([^"]*)"|([^\s,"]+)/g)) {
    if (quoted !== undefined) tags.push((weak ?? '') + quoted);
    else if (bare !== undefined) tags.push(bare);
  }
  return tags;
}

const seconds = (ms: number): number => Math.floor(ms / 1000);

function anyStrong(header: string, etag: string): boolean {
  return parseEtags(header).some((tag) => tag === '*' || tag === etag);
}

function anyWeak(header: string, etag: string): boolean {
  return parseEtags(header).some((tag) => tag === '*' || tag === etag || tag === `W/${etag}`);
}

function modifiedSince(header: string, modifiedAtMs: number): boolean | undefined {
  const sinceMs = parseHttpDate(header);
  return sinceMs === undefined ? undefined : seconds(modifiedAtMs) > seconds(sinceMs);
}

export interface ReadConditions {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  readonly ifModifiedSince?: string | undefined;
  readonly ifUnmodifiedSince?: string | undefined;
}

export type ConditionOutcome =
  { readonly outcome: 'proceed' } | { readonly outcome: 'failed' | 'not-modified'; readonly condition: string };

const PROCEED: ConditionOutcome = { outcome: 'proceed' };

/** The order of RFC 9110: If-Match else If-Unmodified-Since, then If-None-Match else If-Modified-Since. */
export function evaluateConditions(asked: ReadConditions, { etag, modifiedAtMs }: Validators): ConditionOutcome {
  if (asked.ifMatch !== undefined) {
    if (!anyStrong(asked.ifMatch, etag)) return { outcome: 'failed', condition: 'If-Match' };
  } else if (asked.ifUnmodifiedSince !== undefined) {
    if (modifiedSince(asked.ifUnmodifiedSince, modifiedAtMs) === true) {
      return { outcome: 'failed', condition: 'If-Unmodified-Since' };
    }
  }
  if (asked.ifNoneMatch !== undefined) {
    if (anyWeak(asked.ifNoneMatch, etag)) return { outcome: 'not-modified', condition: 'If-None-Match' };
  } else if (asked.ifModifiedSince !== undefined) {
    if (modifiedSince(asked.ifModifiedSince, modifiedAtMs) === false) {
      return { outcome: 'not-modified', condition: 'If-Modified-Since' };
    }
  }
  return PROCEED;
}

function preconditionFailed(condition: string, headers?: Readonly<Record<string, string>>): S3Error {
  return s3Error('PreconditionFailed', undefined, {
    fields: { Condition: condition },
    ...(headers === undefined ? undefined : { headers }),
  });
}

/** Throws PreconditionFailed or NotModified for GET and HEAD. `headers` go on the refusal. */
export function checkReadConditions(
  request: S3Request,
  at: Validators,
  headers: () => Readonly<Record<string, string>>,
): void {
  const result = evaluateConditions(
    {
      ifMatch: request.header('if-match'),
      ifNoneMatch: request.header('if-none-match'),
      ifModifiedSince: request.header('if-modified-since'),
      ifUnmodifiedSince: request.header('if-unmodified-since'),
    },
    at,
  );
  if (result.outcome === 'failed') throw preconditionFailed(result.condition);
  if (result.outcome === 'not-modified') throw s3Error('NotModified', undefined, { headers: headers() });
}

/** Throws PreconditionFailed for `x-amz-copy-source-if-*`; on a copy source "not modified" is a failure too. */
export function checkCopyConditions(request: S3Request, at: Validators): void {
  const result = evaluateConditions(
    {
      ifMatch: request.header('x-amz-copy-source-if-match'),
      ifNoneMatch: request.header('x-amz-copy-source-if-none-match'),
      ifModifiedSince: request.header('x-amz-copy-source-if-modified-since'),
      ifUnmodifiedSince: request.header('x-amz-copy-source-if-unmodified-since'),
    },
    at,
  );
  if (result.outcome !== 'proceed') throw preconditionFailed(`x-amz-copy-source-${result.condition}`);
}

/** Whether a Range header still counts (RFC 9110 section 13.1.5: strong comparison, exact date). */
export function rangeApplies(ifRange: string | undefined, { etag, modifiedAtMs }: Validators): boolean {
  if (ifRange === undefined) return true;
  const dateMs = parseHttpDate(ifRange);
  if (dateMs !== undefined) return seconds(dateMs) === seconds(modifiedAtMs);
  return parseEtags(ifRange).includes(etag);
}

/** Conditions of a put, a copy's target or a completed upload. Throws NotImplemented for those that S3 does not know on writes. */
export function writeCondition(request: S3Request): WriteCondition | undefined {
  const ifMatch = request.header('if-match');
  const ifNoneMatch = request.header('if-none-match');
  for (const name of ['if-modified-since', 'if-unmodified-since'] as const) {
    if (request.header(name) !== undefined) {
      throw s3Error('NotImplemented', undefined, {
        fields: { Header: name, additionalMessage: 'Conditions on dates do not apply to writes' },
      });
    }
  }
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  if (ifNoneMatch !== undefined && ifNoneMatch.trim() !== '*') {
    throw s3Error('NotImplemented', undefined, {
      fields: { Header: 'If-None-Match', additionalMessage: 'Only * is understood on writes' },
    });
  }
  if (ifMatch !== undefined && ifNoneMatch !== undefined) {
    throw s3Error('NotImplemented', undefined, {
      fields: {
        Header: 'If-Match,If-None-Match',
        additionalMessage: 'Multiple conditional request headers present in the request',
      },
    });
  }
  return {
    ...(ifMatch === undefined ? undefined : { ifMatch: parseEtags(ifMatch) }),
    ...(ifNoneMatch === undefined ? undefined : { ifNoneMatch: ['*'] }),
  };
}

/** Conditions of a delete: the ETag, time and size of what is to go. */
export function deleteCondition(request: S3Request): WriteCondition | undefined {
  const ifMatch = request.header('if-match');
  const time = request.header('x-amz-if-match-last-modified-time');
  const size = request.header('x-amz-if-match-size');
  if (ifMatch === undefined && time === undefined && size === undefined) return undefined;
  const timeMs = time === undefined ? undefined : parseHttpDate(time);
  if (time !== undefined && timeMs === undefined) {
    throw invalidArgument('x-amz-if-match-last-modified-time', time, 'The date is not valid.');
  }
  if (size !== undefined && !/^\d{1,15}$/.test(size)) {
    throw invalidArgument('x-amz-if-match-size', size, 'The size is not valid.');
  }
  return {
    ...(ifMatch === undefined ? undefined : { ifMatch: parseEtags(ifMatch) }),
    ...(timeMs === undefined ? undefined : { ifMatchModifiedAtMs: timeMs }),
    ...(size === undefined ? undefined : { ifMatchSize: Number(size) }),
  };
}
