/** AdminService of a running site, over its admin socket. */
import { request } from 'node:http';
import { connect } from 'node:net';
import {
  ERROR_CODES,
  SkerryError,
  type AdminService,
  type BootstrapStatus,
  type BucketSummary,
  type ConflictedKey,
  type ConflictPage,
  type ErrorCode,
  type GcPlan,
  type GcReport,
  type Json,
  type KeyInfo,
  type MemberInfo,
  type PrimaryRole,
  type ResolvedConflict,
  type PulledOnce,
  type PushedOnce,
  type Quarantined,
  type ReplicationStatus,
  type SiteStatus,
  type ValidationState,
} from '../contracts/index.ts';

export interface AdminTarget {
  readonly socketPath: string;
  readonly token: string;
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** Without a byte of an answer, milliseconds. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 60_000;
/** All that is stored is read: that may take hours. */
const GC_TIMEOUT_MS = 7 * 24 * 60 * 60 * 1000;

/** Whether somebody accepts connections on a unix socket. */
export async function socketAnswers(socketPath: string): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const probe = connect(socketPath);
  probe.once('connect', () => resolve(true));
  probe.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED' || error.code === 'ENOTSOCK') resolve(false);
    else reject(unreachable(socketPath, error));
  });
  try {
    return await promise;
  } finally {
    probe.destroy();
  }
}

export function adminClient(target: AdminTarget): AdminService {
  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> =>
    (await exchange(target, { method, path, ...(body === undefined ? {} : { body }) })) as T;
  const key = (accessKeyId: string, rest = ''): string => `/v1/keys/${encodeURIComponent(accessKeyId)}${rest}`;
  const bucket = (name: string, rest = ''): string => `/v1/buckets/${encodeURIComponent(name)}${rest}`;
  const peer = (site: string, what: string): string => `/v1/replication/${encodeURIComponent(site)}/${what}`;
  const setting = (name: string, what: string): string => bucket(name, `/settings/${encodeURIComponent(what)}`);
  return {
    status: async () => call<SiteStatus>('GET', '/v1/status'),
    listKeys: async () => call<readonly KeyInfo[]>('GET', '/v1/keys'),
    createKey: async (input) => call<KeyInfo & { readonly secretKey: string }>('POST', '/v1/keys', input),
    setKeyEnabled: async (id, enabled) => call<KeyInfo>('PUT', key(id, '/enabled'), { enabled }),
    setKeyPolicy: async (id, policy) => call<KeyInfo>('PUT', key(id, '/policy'), { policy }),
    removeKey: async (id) => call<void>('DELETE', key(id)),
    resealKeys: async () => call<readonly string[]>('POST', '/v1/reseal-keys'),
    listBuckets: async () => call<readonly BucketSummary[]>('GET', '/v1/buckets'),
    createBucket: async (name, options = {}) => call<BucketSummary>('POST', '/v1/buckets', { name, ...options }),
    removeBucket: async (name, { force = false } = {}) =>
      call<void>('DELETE', bucket(name, force ? '?force=true' : '')),
    setBucketSetting: async (name, what, value) => call<void>('PUT', setting(name, what), { value }),
    getBucketSetting: async (name, what) => (await call<{ readonly value: Json }>('GET', setting(name, what))).value,
    conflictCounts: async () => call<Readonly<Record<string, number>>>('GET', '/v1/conflicts'),
    listConflicts: async ({ bucket: name, prefix, after, limit }) => {
      const query = new URLSearchParams({
        limit: String(limit),
        ...(prefix === undefined ? {} : { prefix }),
        ...(after === undefined ? {} : { after }),
      });
      return call<ConflictPage>('GET', bucket(name, `/conflicts?${query.toString()}`));
    },
    getConflict: async (name, objectKey) =>
      call<ConflictedKey>('GET', bucket(name, `/conflict?${new URLSearchParams({ key: objectKey }).toString()}`)),
    resolveConflict: async (name, objectKey, choose) =>
      call<ResolvedConflict>('POST', bucket(name, '/conflict'), { key: objectKey, choose }),
    startValidation: async (input = {}) => call<void>('POST', '/v1/validation', input),
    validation: async () => call<ValidationState>('GET', '/v1/validation'),
    gcPlan: async () => (await exchange(target, { method: 'GET', path: '/v1/gc', timeoutMs: GC_TIMEOUT_MS })) as GcPlan,
    gcRun: async (body = {}) =>
      (await exchange(target, { method: 'POST', path: '/v1/gc', body, timeoutMs: GC_TIMEOUT_MS })) as GcReport,
    promote: async () => call<PrimaryRole>('POST', '/v1/promote'),
    replicationStatus: async () => call<ReplicationStatus>('GET', '/v1/replication'),
    pullFrom: async (site) => call<PulledOnce>('POST', peer(site, 'pull')),
    bootstrapFrom: async (site) =>
      call<BootstrapStatus>('POST', '/v1/replication/bootstrap', site === undefined ? {} : { from: site }),
    pushTo: async (site) => call<PushedOnce>('POST', peer(site, 'push')),
    releaseQuarantined: async (origin) =>
      call<Quarantined>('POST', `/v1/quarantine/${encodeURIComponent(origin)}/release`),
    trustClock: async () => call<void>('POST', '/v1/clock/trust'),
    recover: async () => call<void>('POST', '/v1/replication/recover'),
    listMembers: async () => call<readonly MemberInfo[]>('GET', '/v1/members'),
    removeMember: async (name) => call<readonly MemberInfo[]>('DELETE', `/v1/members/${encodeURIComponent(name)}`),
    stop: async () => void (await call('POST', '/v1/stop')),
  };
}

/** The JSON that was answered; rejects with the error that the site answered, or `Unavailable`. */
async function exchange(
  { socketPath, token }: AdminTarget,
  { method, path, body, timeoutMs = TIMEOUT_MS }: Call,
): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly status: number; readonly text: string }>();
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    authorization: `Bearer ${token}`,
    ...(payload === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
  };
  const outgoing = request({ socketPath, method, path, headers, agent: false, timeout: timeoutMs }, (response) => {
    const pieces: Buffer[] = [];
    response.on('data', (piece: Buffer) => pieces.push(piece));
    response.on('error', reject);
    response.on('end', () =>
      resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString('utf8') }),
    );
  });
  outgoing.on('error', reject);
  outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`)));
  outgoing.end(payload);
  const { status, text } = await promise.catch((error: unknown) => {
    throw unreachable(socketPath, error as Error);
  });
  const answer = text === '' ? undefined : (JSON.parse(text) as unknown);
  if (status >= 400) throw answeredError(answer);
  return answer;
}

function unreachable(socketPath: string, error: Error): SkerryError {
  const message = `the site does not answer on ${socketPath}: ${error.message}`;
  return new SkerryError('Unavailable', message, { cause: error });
}

/** The error as the site threw it. */
function answeredError(answer: unknown): SkerryError {
  const { code, message, retryable, details } = (answer ?? {}) as Partial<SkerryError>;
  const known = ERROR_CODES.find((one): one is ErrorCode => one === code) ?? 'Internal';
  return new SkerryError(known, message ?? 'the site refused without a reason', {
    ...(retryable === undefined ? {} : { retryable }),
    ...(details === undefined ? {} : { details }),
  });
}
