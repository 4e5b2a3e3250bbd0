/** Does one step of a plan against a site's object service, as a client would, and reports every call it made. */
import {
  isSkerryError,
  type BodySource,
  type DeleteResult,
  type ObjectService,
  type UploadRef,
  type WriteCondition,
} from '../../core/contracts/index.ts';
import type { IdentityStore } from '../../core/engine/identities.ts';
import { bytesOf, sha256Of } from './content.ts';
import type { CallRecord, Outcome, Seen } from './history.ts';
import type { Body, ClientOp, ClientStep } from './steps.ts';

export type Identities = Pick<IdentityStore, 'create' | 'setEnabled' | 'setPolicy' | 'remove'>;
/** What a client does with a site. */
export type Work<T> = (objects: ObjectService, identities: Identities) => Promise<T>;

/** The site as a client reaches it. */
export interface Served {
  /** Ops that are on its disk. */
  applied(): number;
  call<T>(work: Work<T>): Promise<{ readonly kind: 'done'; readonly value: T } | { readonly kind: 'down' | 'lost' }>;
  collectGarbage(): Promise<void>;
}

export interface ClientPorts {
  readonly site: Served;
  /** Another one. */
  at(site: string): Served;
  nowMs(): number;
  sleep(ms: number): Promise<void>;
  record(call: CallRecord): void;
}

const OWNER = 'owner';
const DESCRIPTION = { owner: OWNER, headers: {}, storageClass: 'STANDARD' } as const;
/** Of the metadata that a write carries: what its bytes must hash to, and which step wrote it. */
const BYTES = 'bytes';
const STEP = 'step';

type Call = <T>(seen: (value: T) => Seen, work: Work<T>) => Promise<T | undefined>;
type Op<T extends ClientOp['type']> = Extract<ClientOp, { readonly type: T }>;

const nothing = (): Seen => ({ type: 'nothing' });
const written = ({
  stamp,
  etag,
  size,
}: {
  readonly stamp: string;
  readonly etag: string;
  readonly size: number;
}): Seen => ({
  type: 'written',
  stamp,
  etag,
  size,
});

const listed = ({ entries }: { readonly entries: readonly { readonly key: string }[] }): Seen => ({
  type: 'listed',
  rows: entries.map(({ key }) => key),
});
const deleted = ({ versionId }: DeleteResult): Seen => ({ type: 'deleted', versionId });

export async function runStep(step: ClientStep, ports: ClientPorts): Promise<void> {
  const call: Call = (seen, work) => recorded(step, { ...ports, name: step.site }, seen, work);
  const { op } = step;
  switch (op.type) {
    case 'createBucket':
      return createBucket(step, op, call);
    case 'deleteBucket':
      return call(nothing, (objects) => objects.deleteBucket(op.bucket));
    case 'setting':
      return call(nothing, (objects) => objects.putBucketSetting(op.bucket, op.name, op.value));
    case 'put':
      return put(step, op, ports, call);
    case 'get':
      return void (await call(readSeen, (objects) => read(objects, op, ports)));
    case 'delete':
      return remove(call, { bucket: op.bucket, key: op.key });
    case 'deleteVersion':
      return removeVersion(call, op);
    case 'tags':
      return tag(call, op);
    case 'lock':
      return lock(call, op);
    case 'deleteMany':
      return void (await call(nothing, (objects) =>
        objects.deleteObjects(op.keys.map((key) => ({ bucket: op.bucket, key, owner: OWNER }))),
      ));
    case 'key':
      return call(nothing, (_, identities) => changeKey(identities, op));
    case 'causal':
      return causal(step, op, ports, call);
    case 'copy':
      return copy(call, op);
    case 'multipart':
      return multipart(step, op, ports, call);
    case 'list':
      return void (await call(listed, (objects) => objects.listObjects({ bucket: op.bucket, limit: 1000 })));
    case 'collectGarbage':
      return ports.site.collectGarbage().catch((error: unknown) => void refusal(error));
  }
}

async function recorded<T>(
  { id, op }: ClientStep,
  { site, name, nowMs, record }: ClientPorts & { readonly name: string },
  seen: (value: T) => Seen,
  work: Work<T>,
): Promise<T | undefined> {
  const beganMs = nowMs();
  const appliedBefore = site.applied();
  let outcome: Outcome;
  let value: T | undefined;
  try {
    const answer = await site.call(work);
    if (answer.kind === 'done') value = answer.value;
    outcome = answer.kind === 'done' ? { kind: 'done', seen: seen(answer.value) } : answer;
  } catch (error) {
    outcome = refusal(error);
  }
  record({ step: id, site: name, op, beganMs, appliedBefore, appliedAfter: site.applied(), outcome });
  return value;
}

/** An error that is none of the closed list is a bug of the site, and its message says so. */
function refusal(error: unknown): Outcome {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { kind: 'refused', code: isSkerryError(error) ? error.code : 'not a SkerryError', message };
}

const described = (
  step: ClientStep,
  bodies: readonly Body[],
): { readonly metadata: Readonly<Record<string, string>> } => ({
  metadata: { [STEP]: step.id, [BYTES]: sha256Of(bodies.map(bytesOf)) },
});

async function put(step: ClientStep, op: Op<'put'>, ports: ClientPorts, call: Call): Promise<void> {
  const { bucket, key } = op;
  const condition = await conditionOf(op, call);
  await call(written, (objects) =>
    objects.putObject({
      bucket,
      key,
      ...DESCRIPTION,
      ...described(step, [op.body]),
      body: bodySource(op, ports),
      ...(condition === undefined ? {} : { condition }),
      ...(op.tag === undefined ? {} : { settings: { tags: op.tag } }),
    }),
  );
}

async function conditionOf(op: Op<'put'>, call: Call): Promise<WriteCondition | undefined> {
  if (op.condition === undefined) return undefined;
  if (op.condition === 'absent') return { ifNoneMatch: ['*'] };
  const head = await call(nothing, (objects) => objects.headObject({ bucket: op.bucket, key: op.key }));
  return { ifMatch: [head?.info.content.etag ?? '"none"'] };
}

function bodySource({ body, stream }: Op<'put'>, { sleep }: ClientPorts): BodySource {
  const bytes = bytesOf(body);
  if (stream === undefined) return { bytes, size: bytes.length };
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += stream?.pieceBytes ?? 1) {
      yield bytes.slice(at, at + (stream?.pieceBytes ?? 1));
      await sleep(stream?.pauseMs ?? 0);
      if (stream?.breaksOff === true && at > bytes.length / 2) throw new Error('the client broke off');
    }
  }
  return { stream: pieces(), size: bytes.length };
}

export interface Read {
  readonly stamp: string;
  readonly sha256: string;
  /** As the write said it. */
  readonly wanted: string | undefined;
}

const readSeen = (value: Read): Seen => ({ type: 'read', ...value });

/** The whole object, judged by nobody yet. */
export async function read(
  objects: ObjectService,
  { bucket, key, pauseMs }: Pick<Op<'get'>, 'bucket' | 'key' | 'pauseMs'>,
  { sleep }: Pick<ClientPorts, 'sleep'>,
): Promise<Read> {
  const object = await objects.openObject({ bucket, key });
  try {
    // a slow reader: what it opened must stay readable, whatever happens to the key meanwhile
    if (pauseMs !== undefined) await sleep(pauseMs);
    const { content, stamp } = object.info;
    const pieces: Uint8Array[] = [];
    for await (const piece of object.read(0, content.size)) pieces.push(Uint8Array.from(piece));
    return { stamp, sha256: sha256Of(pieces), wanted: content.metadata[BYTES] };
  } finally {
    object.close();
  }
}

async function remove(
  call: Call,
  ref: { readonly bucket: string; readonly key: string; readonly versionId?: string },
): Promise<void> {
  await call(deleted, (objects) => objects.deleteObject({ ...ref, owner: OWNER }));
}

/** One of the versions that the key has, or none. */
async function pickVersion(
  call: Call,
  { bucket, key, pick }: { readonly bucket: string; readonly key: string; readonly pick: number },
): Promise<string | undefined> {
  const page = await call(nothing, (objects) => objects.listVersions({ bucket, prefix: key, limit: 1000 }));
  const versions = page?.entries.filter((entry) => entry.key === key) ?? [];
  return versions[Math.floor(pick * versions.length)]?.versionId;
}

async function removeVersion(call: Call, op: Op<'deleteVersion'>): Promise<void> {
  const versionId = await pickVersion(call, op);
  if (versionId !== undefined) await remove(call, { bucket: op.bucket, key: op.key, versionId });
}

async function tag(call: Call, op: Op<'tags'>): Promise<void> {
  const { bucket, key, pick, name, value } = op;
  const versionId = pick === undefined ? undefined : await pickVersion(call, { bucket, key, pick });
  const ref = { bucket, key, ...(versionId === undefined ? {} : { versionId }) };
  await call(nothing, (objects) => objects.putVersionSetting(ref, name, value));
}

async function createBucket(step: ClientStep, { bucket, objectLock }: Op<'createBucket'>, call: Call): Promise<void> {
  const lock = objectLock ? { objectLock, settings: { versioning: 'Enabled' } } : {};
  // each site's clients are somebody else: the first to create a bucket owns it
  await call(nothing, (objects) => objects.createBucket({ bucket, owner: `owner at ${step.site}`, ...lock }));
}

async function lock(call: Call, { bucket, key, pick, lock }: Op<'lock'>): Promise<void> {
  const versionId = await pickVersion(call, { bucket, key, pick });
  if (versionId === undefined) return;
  const value = lock.name === 'legalHold' ? lock.value : { mode: lock.mode, until: lock.untilMs };
  await call(nothing, (objects) => objects.putVersionSetting({ bucket, key, versionId }, lock.name, value));
}

async function changeKey(identities: Identities, { id, change }: Op<'key'>): Promise<void> {
  const policy = change === 'policy' ? 'ro' : 'rw';
  switch (change) {
    case 'create':
      return void (await identities.create({ accessKeyId: id, secretKey: `secret of ${id}`, policy }));
    case 'disable':
      return void (await identities.setEnabled(id, false));
    case 'policy':
      return void (await identities.setPolicy(id, policy));
    case 'remove':
      return identities.remove(id);
  }
}

/** How long a reader elsewhere waits for a write. */
const CAUSAL_WAIT_MS = 3000;

async function causal(step: ClientStep, op: Op<'causal'>, ports: ClientPorts, call: Call): Promise<void> {
  const { bucket, key, body, toSite } = op;
  const put = { bucket, key, ...DESCRIPTION, ...described(step, [body]), body: { bytes: bytesOf(body) } };
  const made = await call(written, (objects) => objects.putObject(put));
  if (made === undefined) return;
  const there = { ...ports, site: ports.at(toSite), name: toSite };
  const caused = (answer: string): Seen => ({ type: 'caused', wanted: made.stamp, answer });
  await recorded(step, there, caused, async (objects) => {
    await objects.waitFor(made.causality, { bucket, key }, { timeoutMs: CAUSAL_WAIT_MS });
    try {
      return (await objects.headObject({ bucket, key })).info.stamp;
    } catch (error) {
      if (isSkerryError(error)) return error.code;
      throw error;
    }
  });
}

async function copy(call: Call, { bucket, key, toBucket, toKey }: Op<'copy'>): Promise<void> {
  await call(written, (objects) =>
    objects.copyObject({
      source: { bucket, key },
      bucket: toBucket,
      key: toKey,
      owner: OWNER,
      copyTags: true,
    }),
  );
}

async function multipart(step: ClientStep, op: Op<'multipart'>, { sleep }: ClientPorts, call: Call): Promise<void> {
  const { bucket, key } = op;
  const created = await call(nothing, (objects) =>
    objects.createUpload({ bucket, key, ...DESCRIPTION, initiator: OWNER, ...described(step, op.parts) }),
  );
  if (created === undefined) return;
  const ref: UploadRef = { bucket, key, uploadId: created.uploadId };
  const sendPart = async (index: number, body: Body): Promise<string | undefined> => {
    const bytes = bytesOf(body);
    const part = await call(nothing, (objects) => objects.putPart({ ...ref, number: index + 1, body: { bytes } }));
    return part?.etag;
  };
  const parts: { readonly number: number; readonly etag: string }[] = [];
  for (const [i, body] of op.parts.entries()) {
    const etag = await sendPart(i, body);
    if (etag === undefined) return;
    parts.push({ number: i + 1, etag });
    await sleep(op.pauseMs);
  }
  const resent = op.resend && sendPart(op.resend.part, op.resend.body);
  await endUpload(op, call, ref, parts);
  await resent;
}

async function endUpload(
  { ending }: Op<'multipart'>,
  call: Call,
  ref: UploadRef,
  parts: readonly { readonly number: number; readonly etag: string }[],
): Promise<void> {
  if (ending === 'leave') return;
  if (ending === 'abort') return call(nothing, (objects) => objects.abortUpload(ref));
  const complete = () => call(written, (objects) => objects.completeUpload({ ...ref, parts }));
  await complete();
  if (ending === 'completeTwice') await complete();
}
