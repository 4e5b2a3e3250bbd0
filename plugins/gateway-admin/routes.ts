/** Which request calls what: one row for each method of AdminService. Pure but for the call itself. */
import {
  SkerryError,
  type AdminService,
  type CreateKeyInput,
  type Json,
  type PermissionPolicy,
} from '../../core/contracts/index.ts';

export interface Call {
  readonly admin: AdminService;
  /** Decoded segments of the path that the row names with `:`. */
  readonly names: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Parsed body; `undefined` when there was none. */
  readonly body: Json | undefined;
}

export interface Answer {
  readonly status: number;
  /** JSON; absent for 204. */
  readonly body?: unknown;
}

interface Route {
  readonly method: string;
  readonly path: string;
  readonly answer: (call: Call) => Promise<Answer>;
}

type Fields = Readonly<Record<string, Json>>;
type TextField = Exclude<keyof CreateKeyInput, 'policy'>;

const KEY_TEXTS: readonly TextField[] = ['accessKeyId', 'secretKey', 'userId', 'displayName', 'email', 'account'];

const ROUTES: readonly Route[] = [
  { method: 'GET', path: '/v1/status', answer: async ({ admin }) => ok(await admin.status()) },
  { method: 'POST', path: '/v1/stop', answer: stop },
  { method: 'GET', path: '/v1/keys', answer: async ({ admin }) => ok(await admin.listKeys()) },
  { method: 'POST', path: '/v1/keys', answer: createKey },
  { method: 'PUT', path: '/v1/keys/:key/enabled', answer: setKeyEnabled },
  { method: 'PUT', path: '/v1/keys/:key/policy', answer: setKeyPolicy },
  { method: 'DELETE', path: '/v1/keys/:key', answer: removeKey },
  { method: 'POST', path: '/v1/reseal-keys', answer: async ({ admin }) => ok(await admin.resealKeys()) },
  { method: 'GET', path: '/v1/buckets', answer: async ({ admin }) => ok(await admin.listBuckets()) },
  { method: 'POST', path: '/v1/buckets', answer: createBucket },
  { method: 'DELETE', path: '/v1/buckets/:bucket', answer: removeBucket },
  { method: 'GET', path: '/v1/buckets/:bucket/settings/:setting', answer: getSetting },
  { method: 'PUT', path: '/v1/buckets/:bucket/settings/:setting', answer: setSetting },
  { method: 'GET', path: '/v1/conflicts', answer: async ({ admin }) => ok(await admin.conflictCounts()) },
  { method: 'GET', path: '/v1/buckets/:bucket/conflicts', answer: listConflicts },
  { method: 'GET', path: '/v1/buckets/:bucket/conflict', answer: getConflict },
  { method: 'POST', path: '/v1/buckets/:bucket/conflict', answer: resolveConflict },
  { method: 'GET', path: '/v1/replication', answer: async ({ admin }) => ok(await admin.replicationStatus()) },
  {
    method: 'POST',
    path: '/v1/replication/:peer/pull',
    answer: async ({ admin, names }) => ok(await admin.pullFrom(name(names, 'peer'))),
  },
  { method: 'POST', path: '/v1/replication/bootstrap', answer: bootstrap },
  {
    method: 'POST',
    path: '/v1/replication/:peer/push',
    answer: async ({ admin, names }) => ok(await admin.pushTo(name(names, 'peer'))),
  },
  { method: 'POST', path: '/v1/replication/recover', answer: recover },
  { method: 'POST', path: '/v1/clock/trust', answer: trustClock },
  {
    method: 'POST',
    path: '/v1/quarantine/:origin/release',
    answer: async ({ admin, names }) => ok(await admin.releaseQuarantined(name(names, 'origin'))),
  },
  { method: 'GET', path: '/v1/members', answer: async ({ admin }) => ok(await admin.listMembers()) },
  {
    method: 'DELETE',
    path: '/v1/members/:member',
    answer: async ({ admin, names }) => ok(await admin.removeMember(name(names, 'member'))),
  },
  { method: 'GET', path: '/v1/validation', answer: async ({ admin }) => ok(await admin.validation()) },
  { method: 'POST', path: '/v1/validation', answer: startValidation },
  { method: 'GET', path: '/v1/gc', answer: async ({ admin }) => ok(await admin.gcPlan()) },
  { method: 'POST', path: '/v1/gc', answer: runGc },
  { method: 'POST', path: '/v1/promote', answer: async ({ admin }) => ok(await admin.promote()) },
];

export interface Match {
  readonly answer: Route['answer'];
  readonly names: Readonly<Record<string, string>>;
}

/** `NotFound` when no row has the path, `MethodNotAllowed` when none of those has the method. */
export function route(method: string, path: string): Match {
  const segments = path.split('/');
  const matches = ROUTES.flatMap((row) => {
    const names = capture(row.path.split('/'), segments);
    return names === undefined ? [] : [{ row, names }];
  });
  const match = matches.find(({ row }) => row.method === method);
  if (match !== undefined) return { answer: match.row.answer, names: match.names };
  if (matches.length === 0) throw new SkerryError('NotFound', `the admin interface has no ${path}`);
  const allow = matches.map(({ row }) => row.method).join(', ');
  throw new SkerryError('MethodNotAllowed', `${path} takes ${allow}, not ${method}`, { details: { allow } });
}

function capture(
  pattern: readonly string[],
  segments: readonly string[],
): Readonly<Record<string, string>> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const names: Record<string, string> = {};
  for (const [at, part] of pattern.entries()) {
    const segment = segments[at] ?? '';
    if (part.startsWith(':')) names[part.slice(1)] = decodeSegment(segment);
    else if (part !== segment) return undefined;
  }
  return names;
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (error) {
    throw new SkerryError('InvalidArgument', `the path segment ${segment} is not percent-encoded UTF-8`, {
      cause: error,
    });
  }
}

async function stop({ admin }: Call): Promise<Answer> {
  await admin.stop();
  return { status: 202, body: { stopping: true } };
}

async function recover({ admin }: Call): Promise<Answer> {
  await admin.recover();
  return { status: 204 };
}

async function bootstrap({ admin, body }: Call): Promise<Answer> {
  const given = fields(body ?? {}, ['from']);
  return {
    status: 202,
    body: await admin.bootstrapFrom(given['from'] === undefined ? undefined : text(given, 'from')),
  };
}

async function trustClock({ admin }: Call): Promise<Answer> {
  await admin.trustClock();
  return { status: 204 };
}

async function createKey({ admin, body }: Call): Promise<Answer> {
  const given = fields(body, [...KEY_TEXTS, 'policy']);
  const texts = KEY_TEXTS.flatMap((name) => (given[name] === undefined ? [] : [[name, text(given, name)] as const]));
  const input: CreateKeyInput = {
    ...(Object.fromEntries(texts) as Partial<Record<TextField, string>>),
    policy: policy(given),
  };
  return { status: 201, body: await admin.createKey(input) };
}

async function setKeyEnabled({ admin, names, body }: Call): Promise<Answer> {
  return ok(await admin.setKeyEnabled(name(names, 'key'), flag(fields(body, ['enabled']), 'enabled')));
}

async function setKeyPolicy({ admin, names, body }: Call): Promise<Answer> {
  return ok(await admin.setKeyPolicy(name(names, 'key'), policy(fields(body, ['policy']))));
}

async function removeKey({ admin, names }: Call): Promise<Answer> {
  await admin.removeKey(name(names, 'key'));
  return { status: 204 };
}

async function createBucket({ admin, body }: Call): Promise<Answer> {
  const given = fields(body, ['name', 'owner', 'versioning']);
  const versioning = given['versioning'] === undefined ? undefined : flag(given, 'versioning');
  const options = {
    ...(given['owner'] === undefined ? {} : { owner: text(given, 'owner') }),
    ...(versioning === undefined ? {} : { versioning }),
  };
  return { status: 201, body: await admin.createBucket(text(given, 'name'), options) };
}

async function removeBucket({ admin, names, query }: Call): Promise<Answer> {
  await admin.removeBucket(name(names, 'bucket'), { force: query.get('force') === 'true' });
  return { status: 204 };
}

async function getSetting({ admin, names }: Call): Promise<Answer> {
  return ok({ value: await admin.getBucketSetting(name(names, 'bucket'), name(names, 'setting')) });
}

async function setSetting({ admin, names, body }: Call): Promise<Answer> {
  const { value } = fields(body, ['value']);
  if (value === undefined) throw wrong('the body must have a value (null clears the setting)');
  await admin.setBucketSetting(name(names, 'bucket'), name(names, 'setting'), value);
  return { status: 204 };
}

async function startValidation({ admin, body }: Call): Promise<Answer> {
  const given = fields(body, ['peers', 'repair', 'deep']);
  const { peers } = given;
  const isNames = Array.isArray(peers) && peers.every((peer) => typeof peer === 'string');
  if (peers !== undefined && !isNames) throw wrong('peers must be a list of site ids');
  await admin.startValidation({
    ...(peers === undefined ? {} : { peers }),
    ...(given['repair'] === undefined ? {} : { repair: flag(given, 'repair') }),
    ...(given['deep'] === undefined ? {} : { deep: flag(given, 'deep') }),
  });
  return { status: 202, body: {} };
}

async function listConflicts({ admin, names, query }: Call): Promise<Answer> {
  const [prefix, after, limit] = [query.get('prefix'), query.get('after'), query.get('limit') ?? '1000'];
  if (!/^\d{1,4}$/.test(limit)) throw wrong('limit must be a number from 1 to 1000');
  const page = await admin.listConflicts({
    bucket: name(names, 'bucket'),
    limit: Number(limit),
    ...(prefix === null ? {} : { prefix }),
    ...(after === null ? {} : { after }),
  });
  return ok(page);
}

async function getConflict({ admin, names, query }: Call): Promise<Answer> {
  const key = query.get('key');
  if (key === null || key === '') throw wrong('the query must name a key');
  return ok(await admin.getConflict(name(names, 'bucket'), key));
}

async function resolveConflict({ admin, names, body }: Call): Promise<Answer> {
  const given = fields(body, ['key', 'choose']);
  return ok(await admin.resolveConflict(name(names, 'bucket'), text(given, 'key'), text(given, 'choose')));
}

async function runGc({ admin, body }: Call): Promise<Answer> {
  const given = fields(body, ['despiteLosses']);
  const despiteLosses = given['despiteLosses'] !== undefined && flag(given, 'despiteLosses');
  return ok(await admin.gcRun({ despiteLosses }));
}

function ok(body: unknown): Answer {
  return { status: 200, body };
}

/** The pattern of the row has it, so it is there. */
function name(names: Readonly<Record<string, string>>, key: string): string {
  const value = names[key];
  if (value === undefined) throw new SkerryError('Internal', `the route does not capture ${key}`);
  if (value === '') throw wrong(`the path names no ${key}`);
  return value;
}

function fields(body: Json | undefined, known: readonly string[]): Fields {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw wrong('the body must be a JSON object');
  const unknown = Object.keys(body).find((key) => !known.includes(key));
  if (unknown !== undefined) throw wrong(`unknown field ${unknown}; known here: ${known.join(', ')}`);
  return body as Fields;
}

function text(given: Fields, key: string): string {
  const value = given[key];
  if (typeof value !== 'string' || value === '') throw wrong(`${key} must be a text that is not empty`);
  return value;
}

function flag(given: Fields, key: string): boolean {
  const value = given[key];
  if (typeof value !== 'boolean') throw wrong(`${key} must be true or false`);
  return value;
}

function policy(given: Fields): PermissionPolicy {
  const value = given['policy'];
  const isDocument = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (isDocument) return value as PermissionPolicy;
  if (value === 'admin' || value === 'rw' || value === 'ro') return value;
  throw wrong('policy must be admin, rw, ro, or an AWS policy document');
}

function wrong(message: string): SkerryError {
  return new SkerryError('InvalidArgument', message);
}
