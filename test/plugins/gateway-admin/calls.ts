/** A call of each method of AdminService over HTTP: what is sent, what is answered, what the service is asked. */
import { BUCKET, KEY } from './fake-admin.ts';

export interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly token?: string | undefined;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const body = (value: unknown): string => JSON.stringify(value);

export const CALLS: readonly (readonly [Sent, number, unknown, readonly unknown[]])[] = [
  [{ path: '/v1/keys' }, 200, [KEY], ['listKeys']],
  [
    { method: 'POST', path: '/v1/keys', body: body({ policy: 'ro', accessKeyId: 'AK', email: 'a@b' }) },
    201,
    { ...KEY, secretKey: 'shown-this-once' },
    ['createKey', { accessKeyId: 'AK', email: 'a@b', policy: 'ro' }],
  ],
  [
    { method: 'PUT', path: '/v1/keys/A%2FK/enabled', body: body({ enabled: false }) },
    200,
    KEY,
    ['setKeyEnabled', 'A/K', false],
  ],
  [
    { method: 'PUT', path: '/v1/keys/AK/policy', body: body({ policy: { Statement: [] } }) },
    200,
    KEY,
    ['setKeyPolicy', 'AK', { Statement: [] }],
  ],
  [{ method: 'DELETE', path: '/v1/keys/AK' }, 204, {}, ['removeKey', 'AK']],
  [{ method: 'POST', path: '/v1/reseal-keys' }, 200, ['AK'], ['resealKeys']],
  [{ path: '/v1/buckets' }, 200, [BUCKET], ['listBuckets']],
  [
    { method: 'POST', path: '/v1/buckets', body: body({ name: 'b', versioning: true }) },
    201,
    BUCKET,
    ['createBucket', 'b', { versioning: true }],
  ],
  [{ method: 'DELETE', path: '/v1/buckets/b' }, 204, {}, ['removeBucket', 'b', { force: false }]],
  [{ method: 'DELETE', path: '/v1/buckets/b?force=true' }, 204, {}, ['removeBucket', 'b', { force: true }]],
  [{ path: '/v1/buckets/b/settings/versioning' }, 200, { value: 'Enabled' }, ['getBucketSetting', 'b', 'versioning']],
  [
    { method: 'PUT', path: '/v1/buckets/b/settings/cors', body: body({ value: null }) },
    204,
    {},
    ['setBucketSetting', 'b', 'cors', null],
  ],
  [{ path: '/v1/conflicts' }, 200, { b: 1 }, ['conflictCounts']],
  [
    { path: '/v1/buckets/b/conflicts?prefix=p%26&after=a&limit=7' },
    200,
    { entries: [], truncated: false },
    ['listConflicts', { bucket: 'b', prefix: 'p&', after: 'a', limit: 7 }],
  ],
  [{ path: '/v1/buckets/b/conflict?key=a%2Fk%26' }, 200, { bucket: 'b', key: 'k' }, ['getConflict', 'b', 'a/k&']],
  [
    { method: 'POST', path: '/v1/buckets/b/conflict', body: body({ key: 'k', choose: 'all' }) },
    200,
    { ended: 1, kept: [], causality: 't' },
    ['resolveConflict', 'b', 'k', 'all'],
  ],
  [{ method: 'POST', path: '/v1/clock/trust' }, 204, {}, ['trustClock']],
  [
    { method: 'POST', path: '/v1/quarantine/ber.0123456789abcdef/release' },
    200,
    { origin: 'ber.0123456789abcdef', reason: 'clock' },
    ['releaseQuarantined', 'ber.0123456789abcdef'],
  ],
  [{ method: 'POST', path: '/v1/replication/recover' }, 204, {}, ['recover']],
  [{ method: 'POST', path: '/v1/promote' }, 200, { site: 'waw', epoch: 1 }, ['promote']],
  [{ path: '/v1/validation' }, 200, { running: false, progress: { stage: 'idle', done: 0 } }, ['validation']],
  [
    { method: 'POST', path: '/v1/validation', body: body({ peers: ['ber'], repair: true }) },
    202,
    {},
    ['startValidation', { peers: ['ber'], repair: true }],
  ],
  [{ path: '/v1/gc' }, 200, { live: { records: 1, bytes: 2 } }, ['gcPlan']],
  [{ method: 'POST', path: '/v1/gc', body: body({}) }, 200, { tookMs: 3 }, ['gcRun', { despiteLosses: false }]],
  [{ path: '/v1/replication' }, 200, { site: 'waw', peers: [] }, ['replicationStatus']],
  [{ method: 'POST', path: '/v1/replication/ber/pull' }, 200, { applied: 2, pendingVersions: 0 }, ['pullFrom', 'ber']],
  [{ method: 'POST', path: '/v1/replication/ber/push' }, 200, { pushed: 3 }, ['pushTo', 'ber']],
  [
    { method: 'POST', path: '/v1/replication/bootstrap', body: body({ from: 'ber' }) },
    202,
    { from: 'ber', state: 'running' },
    ['bootstrapFrom', 'ber'],
  ],
  [
    { method: 'POST', path: '/v1/replication/bootstrap' },
    202,
    { from: 'ber', state: 'running' },
    ['bootstrapFrom', undefined],
  ],
  [{ path: '/v1/members' }, 200, [{ site: 'waw', self: true }], ['listMembers']],
  [{ method: 'DELETE', path: '/v1/members/ber' }, 200, [{ site: 'ber', state: 'removed' }], ['removeMember', 'ber']],
  [{ method: 'POST', path: '/v1/stop' }, 202, { stopping: true }, ['stop']],
];
