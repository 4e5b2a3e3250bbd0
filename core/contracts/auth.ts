/**
 * Auth: who is asking, is the body what they signed, and may they. Schemes differ, the evaluation result does not.
 *
 * Pure with regard to the store: an auth plugin reads identities through IdentityDirectory and keeps nothing durable.
 * Before `open` and after `close`: methods reject with `Closed`.
 */
import type { Json } from './model.ts';
import type { Lifecycle } from './lifecycle.ts';

/** A request as it came in, before anything was decoded or normalised. */
export interface AuthRequest {
  readonly method: string;
  /** Raw path as on the request line, percent-encoding untouched, without the query; starts with `/`. */
  readonly rawPath: string;
  /** Raw query without `?`; empty when there is none. */
  readonly rawQuery: string;
  /** Lower-case names; values as received (one per header line), latin1-decoded as HTTP gives them. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  /** Client IP address. */
  readonly remoteAddress: string;
  readonly secure: boolean;
  /**
   * Bucket that the Host header names, when the gateway resolved the request as virtual-host style. SigV2 signs `/bucket/key` whatever
   * the style, and only the gateway knows which hosts are buckets: a guess here would let one bucket's signature open another.
   */
  readonly virtualHostBucket?: string;
}

/** `admin`: everything; `rw`: read and write data; `ro`: read data; or an AWS policy document. */
export type PermissionPolicy = 'admin' | 'rw' | 'ro' | { readonly [key: string]: Json };

export interface Principal {
  readonly anonymous: boolean;
  /** Canonical user id: owner of what it creates. `anonymous` when anonymous. */
  readonly userId: string;
  readonly displayName: string;
  readonly accessKeyId?: string;
  /** 12 digits. */
  readonly account: string;
  readonly arn: string;
  readonly policy?: PermissionPolicy;
}

/** A credential with its owner. Secrets exist in memory only and never enter logs or errors. */
export interface Identity {
  readonly accessKeyId: string;
  readonly secretKey: string;
  readonly userId: string;
  readonly displayName: string;
  readonly email?: string;
  readonly account: string;
  readonly policy: PermissionPolicy;
  readonly enabled: boolean;
  /** True when it comes from the config file (not replicated, not removable by the CLI). */
  readonly fromConfig: boolean;
}

/** Read side of the identities; answers from memory, always current. */
export interface IdentityDirectory {
  find(accessKeyId: string): Identity | undefined;
  findUser(userIdOrEmail: string): Identity | undefined;
}

/** How the caller must treat the body. */
export type PayloadCheck =
  /** Take it as it is. */
  | { readonly kind: 'unsigned' }
  /** The whole body's SHA-256 (lower-case hex) must equal this, else `ChecksumMismatch` (S3: XAmzContentSHA256Mismatch). */
  | { readonly kind: 'sha256'; readonly hex: string }
  /** Framed body (aws-chunked): read through `decode`, which verifies signatures and sizes as it streams and throws on a bad one. */
  | {
      readonly kind: 'framed';
      /** `x-amz-decoded-content-length`, bytes. */
      readonly decodedLength: number | undefined;
      decode(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
      /** Trailer headers (lower-case names), complete once `decode` has ended. */
      trailers(): Readonly<Record<string, string>>;
    };

export interface Authenticated {
  readonly principal: Principal;
  readonly payload: PayloadCheck;
  /** How it was signed, for policy conditions and logs. */
  readonly scheme: 'anonymous' | 'sigv4-header' | 'sigv4-query' | 'sigv2-header' | 'sigv2-query';
  /** Signature age in milliseconds (s3:signatureAge), when known. */
  readonly signatureAgeMs?: number;
}

export interface AuthorizeInput {
  readonly principal: Principal;
  /** `s3:GetObject`. */
  readonly action: string;
  /** `arn:aws:s3:::bucket/key` (or `*` for account-wide actions). */
  readonly resource: string;
  /** Condition keys, lower-case (`aws:sourceip`, `s3:prefix`, ...); each a list of values. */
  readonly conditions: Readonly<Record<string, readonly string[]>>;
  /** Canonical id and account of the bucket's owner; absent when the bucket does not exist or none is involved. */
  readonly owner?: string;
  /** Parsed bucket policy document, if any. */
  readonly bucketPolicy?: Json;
}

export interface Decision {
  readonly allowed: boolean;
  /** One sentence for the log and the admin: which statement or rule decided. Not shown to anonymous clients. */
  readonly reason: string;
  readonly explicitDeny: boolean;
}

export interface Auth extends Lifecycle {
  /**
   * Rejects with SkerryError `Unauthenticated` or `AccessDenied`; `details.reason` is the S3 code to show: `AccessDenied`, `InvalidAccessKeyId`,
   * `SignatureDoesNotMatch`, `RequestTimeTooSkewed`, `AuthorizationHeaderMalformed`, `AuthorizationQueryParametersError`, `ExpiredToken`, ... Constant-time in the secret.
   * `details.fields` (names to strings) are further elements of the error that the client may see (`StringToSign`, `ServerTime`, ...).
   */
  authenticate(request: AuthRequest): Promise<Authenticated>;
  /**
   * Headers that make a request this principal's own, for a site that hands it on to another one: `headers` are all that will be sent, `host` and
   * `x-amz-content-sha256` included. None for a principal without credentials, and where `supports.signatures` is false. Rejects `Unauthenticated`
   * when the principal's credentials are gone.
   */
  sign(
    request: Pick<AuthRequest, 'method' | 'rawPath' | 'rawQuery' | 'headers'>,
    principal: Principal,
  ): Promise<Readonly<Record<string, string>>>;
  /**
   * Never throws for a refusal: answers `allowed: false` with the reason. Explicit deny wins. Compiled policies are remembered by object
   * identity: give the same parsed `bucketPolicy` object for the same policy, and a new object for a changed one.
   */
  authorize(input: AuthorizeInput): Decision;
  /**
   * Checks a bucket policy before it is stored, so that `authorize` never meets one that it cannot read. Throws SkerryError
   * `InvalidArgument` with `details.reason` `MalformedPolicy` and the fault in the message; `NotSupported` when `supports.policies` is false.
   */
  validatePolicy(document: Json, bucket: string): void;
}

export interface AuthSupports {
  /** Lets requests without credentials through as the anonymous principal (policies still decide). */
  readonly anonymous: boolean;
  readonly presigned: boolean;
  readonly framedPayloads: boolean;
  /** Verifies signatures. When false, `authenticate` refuses nobody and only the shape of a framed body is checked. */
  readonly signatures: boolean;
  /** Evaluates AWS policy documents (identity and bucket). When false, `validatePolicy` throws `NotSupported`. */
  readonly policies: boolean;
}
