/** An AdminService that remembers what it was asked and answers from a table. */
import type { AdminService } from '../../../core/contracts/index.ts';

export interface FakeAdmin {
  readonly admin: AdminService;
  readonly calls: (readonly [method: string, ...args: readonly unknown[]])[];
  /** What a method does instead of its standard answer. */
  readonly instead: Partial<Record<keyof AdminService, () => Promise<unknown>>>;
}

export const KEY = {
  accessKeyId: 'AK',
  userId: 'u',
  displayName: 'U',
  account: '000000000001',
  policy: 'rw',
  enabled: true,
  fromConfig: false,
} as const;

export const BUCKET = { name: 'b', owner: 'u', createdAtMs: 1, versioning: 'Off' } as const;

export function fakeAdmin(dataDir: string): FakeAdmin {
  const answers: Record<keyof AdminService, unknown> = {
    status: { site: 'waw', dataDir, ready: true },
    listKeys: [KEY],
    createKey: { ...KEY, secretKey: 'shown-this-once' },
    setKeyEnabled: KEY,
    setKeyPolicy: KEY,
    removeKey: undefined,
    resealKeys: ['AK'],
    listBuckets: [BUCKET],
    createBucket: BUCKET,
    removeBucket: undefined,
    setBucketSetting: undefined,
    getBucketSetting: 'Enabled',
    conflictCounts: { b: 1 },
    listConflicts: { entries: [], truncated: false },
    getConflict: { bucket: 'b', key: 'k' },
    resolveConflict: { ended: 1, kept: [], causality: 't' },
    startValidation: undefined,
    validation: { running: false, progress: { stage: 'idle', done: 0 } },
    gcPlan: { live: { records: 1, bytes: 2 } },
    gcRun: { tookMs: 3 },
    promote: { site: 'waw', epoch: 1 },
    replicationStatus: { site: 'waw', peers: [] },
    pullFrom: { applied: 2, pendingVersions: 0 },
    pushTo: { pushed: 3 },
    bootstrapFrom: { from: 'ber', state: 'running' },
    recover: undefined,
    trustClock: undefined,
    releaseQuarantined: { origin: 'ber.0123456789abcdef', reason: 'clock' },
    listMembers: [{ site: 'waw', self: true }],
    removeMember: [{ site: 'ber', state: 'removed' }],
    stop: undefined,
  };
  const calls: FakeAdmin['calls'] = [];
  const instead: FakeAdmin['instead'] = {};
  const methods = Object.entries(answers).map(([method, answer]) => [
    method,
    async (...args: readonly unknown[]) => {
      calls.push([method, ...args]);
      return (await instead[method as keyof AdminService]?.()) ?? answer;
    },
  ]);
  return { admin: Object.fromEntries(methods) as AdminService, calls, instead };
}
