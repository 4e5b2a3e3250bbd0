/** What an S3 operation is to this gateway: a name, what it needs to be allowed, and a function from request to response. */
import type {
  AdminService,
  Authenticated,
  BodySource,
  BucketInfo,
  Clock,
  Hashing,
  Logger,
  ObjectService,
  Principal,
  IdentityDirectory,
  Auth,
} from '../../core/contracts/index.ts';
import type { S3Options } from './options.ts';

/** A parsed request: names decoded once, raw forms kept for signatures. */
export interface S3Request {
  readonly id: string;
  readonly method: string;
  /** Decoded bucket and key; key may hold any character, `..` and `//` included. */
  readonly bucket?: string;
  readonly key?: string;
  /** Decoded query parameters, first value wins; a parameter without `=` is ''. */
  readonly query: ReadonlyMap<string, string>;
  /** One header by lower-case name, joined with `,` when repeated; `undefined` when absent. UTF-8 decoded. */
  header(name: string): string | undefined;
  /** All headers, lower-case names. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  /** `host` as the client sent it, for Location answers. */
  readonly host: string;
  readonly secure: boolean;
  readonly remoteAddress: string;
  readonly principal: Principal;
  readonly authenticated: Authenticated;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  /** Declared length of the (decoded) body; `undefined` when chunked without one. */
  readonly contentLength: number | undefined;
  /** The body as the engine wants it: payload check, Content-MD5, checksum header or trailer applied. Call at most once. */
  body(): Promise<BodySource>;
  /** A small body (XML, policy) whole and verified, at most `limitBytes`, else MaxMessageLengthExceeded. Call at most once. */
  text(limitBytes: number, options?: TextOptions): Promise<string>;
  /** The bucket of this request, read once (the same read that authorisation used). Throws NoSuchBucket. */
  bucketInfo(): Promise<BucketInfo>;
}

export interface TextOptions {
  /** True: `x-amz-checksum-*` headers speak of an object and not of this body (CompleteMultipartUpload), so they are not compared with it. */
  readonly checksumsOfObject?: boolean;
}

export interface S3Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** `undefined`: no body. A stream must yield exactly `content-length` bytes when that header is set. */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** Called once the response has ended, well or not. */
  readonly done?: () => void;
}

export interface S3Services {
  readonly objects: ObjectService;
  readonly admin: AdminService;
  readonly auth: Auth;
  readonly identities: IdentityDirectory;
  readonly clock: Clock;
  readonly hashing: Hashing;
  readonly logger: Logger;
  readonly options: S3Options;
}

export interface S3Operation {
  /** AWS's operation name: `PutObject`. */
  readonly name: string;
  /** IAM action that must be allowed before `run`. Operations on more than one resource check the rest inside (`requireAllowed` of authorize.ts). */
  readonly action: string;
  /** The action instead when the request names a `versionId`: `s3:GetObjectVersion`. */
  readonly versionAction?: string;
  /** Resource: the account (`*`), the bucket, or the object. */
  readonly resource: 'account' | 'bucket' | 'object';
  /** True for CreateBucket alone: the bucket need not exist, and its policy is not asked. */
  readonly createsBucket?: boolean;
  /** True: `run` authorises on its own, per item (DeleteObjects). */
  readonly authorizesItself?: boolean;
  run(request: S3Request, services: S3Services): Promise<S3Response>;
}
