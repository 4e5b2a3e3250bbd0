/** Objects: put, copy, delete, settings, read. Decisions run in the commit; bytes flow through ingest and the read path. */
import {
  SkerryError,
  type CopyObjectInput,
  type Json,
  type Manifest,
  type ObjectRef,
  type ObjectService,
  type PutObjectInput,
  type BeforeWrite,
  type Stamp,
  type VersionContent,
  type VersionInfo,
  type VersionSettings,
  type WriteResult,
} from '../contracts/index.ts';
import { bucketIn, versioningOf } from './buckets.ts';
import type { CommitContext, Committer, Intent } from './committer.ts';
import { checkCondition } from './conditions.ts';
import { deleteIntent } from './delete-object.ts';
import type { Ingest, Ingested } from './ingest.ts';
import { chunkKey, headKey } from './keys.ts';
import type { FoundBytes } from './open-object.ts';
import { readsOfKey } from './op-reads.ts';
import { visibleOf, type HeadRecord } from './records.ts';
import { versionIdOf } from './stamp.ts';
import { causalityToken, checkKey, findObject, versionIn, versionInfo } from './versions.ts';
import { storeManifest, type StoreManifestDeps } from './store-manifest.ts';
import { appendedLocators } from './sync-ledger.ts';
import { TOP_MAX } from './manifest.ts';

export type ObjectOperations = Pick<
  ObjectService,
  'putObject' | 'copyObject' | 'deleteObject' | 'deleteObjects' | 'headObject' | 'putVersionSetting'
>;

export interface ObjectsDeps extends StoreManifestDeps {
  readonly committer: Committer;
  readonly ingest: Ingest;
  /** Bytes of a small body, which belong to one version alone: a copy stores them again. */
  readonly readSmall: (found: FoundBytes) => Promise<Uint8Array>;
  readonly readStream: (found: FoundBytes) => AsyncIterable<Uint8Array>;
  readonly beginRead: () => () => void;
  readonly vetoes: BeforeWriteVeto;
}

/** The `beforeWrite` hook as the engine asks it; `undefined` when nobody listens. */
export type BeforeWriteVeto = (record: BeforeWrite) => Promise<void> | undefined;

/** Stored bytes as a commit needs them. */
export type StoredBytes = Pick<Ingested, 'locator' | 'placements'>;

/** What a new version is made of, once its bytes are stored. */
export interface NewVersion {
  readonly bucket: string;
  readonly key: string;
  readonly owner: string;
  readonly content: VersionContent;
  readonly settings?: VersionSettings | undefined;
  readonly condition?: PutObjectInput['condition'];
}

/** Decides a put: bucket, condition, mode, op. Shared by put, copy and multipart completion. */
export function decidePut(context: CommitContext, version: NewVersion, bytes: StoredBytes): WriteResult {
  const { bucket, key, owner, content, settings, condition } = version;
  const { txn, nowMs, author } = context;
  const versioning = versioningOf(bucketIn(txn, bucket));
  checkCondition(condition, key, visibleOf(txn.record<HeadRecord>(headKey(bucket, key))));
  const nullVersion = versioning !== 'Enabled';
  const body = {
    type: 'version.put' as const,
    bucket,
    key,
    nullVersion,
    marker: false,
    content,
    owner,
    modifiedAtMs: nowMs,
    ...(settings ? { settings } : {}),
  };
  const { stamp } = author(body, {
    ...(bytes.locator === undefined ? {} : { version: { locator: bytes.locator } }),
    placements: bytes.placements,
  });
  return {
    stamp,
    ...(versioning === 'Off' ? {} : { versionId: nullVersion ? 'null' : versionIdOf(stamp) }),
    etag: content.etag,
    size: content.size,
    checksums: content.checksums ?? [],
    modifiedAtMs: nowMs,
    causality: causalityToken(context.vector()),
  };
}

export function putIntent(version: NewVersion, bytes: StoredBytes): Intent<WriteResult> {
  const { bucket, key } = version;
  return {
    reads: {
      keys: [...readsOfKey(bucket, key), ...bytes.placements.map(({ hash }) => chunkKey(hash))],
    },
    appended: appendedLocators(bytes),
    decide: (context) => decidePut(context, version, bytes),
  };
}

export function createObjects(deps: ObjectsDeps): ObjectOperations {
  const { reader, committer, vetoes } = deps;
  return {
    putObject: (input) => putObject(deps, input),
    copyObject: (input) => copyObject(deps, input),
    async headObject(ref) {
      const { info, versioning } = await findObject(reader, ref);
      return { info, versioning };
    },
    async deleteObject(input) {
      await vetoes({ action: 'object.delete', bucket: input.bucket, key: input.key, userId: input.owner });
      return committer.commit(deleteIntent(input));
    },
    async deleteObjects(inputs) {
      const settled = await Promise.allSettled(inputs.map((input) => this.deleteObject(input)));
      return settled.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : toError(outcome.reason)));
    },
    putVersionSetting: (ref, name, value) => committer.commit(settingIntent(ref, name, value)),
  };
}

/** A body up to this size may belong to one version alone. */
const SMALL_BYTES = 64 * 1024;

const toError = (reason: unknown): Error =>
  reason instanceof Error ? reason : new SkerryError('Internal', String(reason));

async function putObject(deps: ObjectsDeps, input: PutObjectInput): Promise<WriteResult> {
  const { bucket, key, body, owner, headers, metadata, storageClass, settings, condition, signal } = input;
  checkKey(key);
  await deps.vetoes({
    action: 'object.put',
    bucket,
    key,
    userId: owner,
    ...(body.size === undefined ? {} : { size: body.size }),
  });
  const stored = await deps.ingest(body, { owner: 'version', ...(signal ? { signal } : {}) });
  const describe = (manifest: Manifest): VersionContent => ({
    size: stored.size,
    etag: stored.md5Hex,
    manifest,
    headers,
    metadata,
    storageClass,
    ...(stored.checksums.length > 0 ? { checksums: stored.checksums } : {}),
  });
  return settle(stored, async () => {
    const version = { bucket, key, owner, settings, condition };
    if (stored.manifest.length <= TOP_MAX) {
      return deps.committer.commit(putIntent({ ...version, content: describe(stored.manifest) }, stored));
    }
    const nodes = await storeManifest(deps, stored.manifest);
    const bytes = { placements: [...stored.placements, ...nodes.placements] };
    return settle(nodes, () =>
      deps.committer.commit(putIntent({ ...version, content: describe(nodes.manifest) }, bytes)),
    );
  });
}

/** Runs what makes stored bytes part of the state; when it fails they are given back. */
export async function settle<T>(stored: Pick<Ingested, 'release' | 'settled'>, commit: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await commit();
  } catch (error) {
    await stored.release();
    throw error;
  }
  stored.settled();
  return result;
}

async function copyObject(
  deps: ObjectsDeps,
  input: CopyObjectInput,
): Promise<WriteResult & { readonly sourceVersionId?: string }> {
  const { source, bucket, key, owner, replace, storageClass, condition, sourceCheck } = input;
  checkKey(key);
  const endRead = deps.beginRead();
  try {
    const found = await findObject(deps.reader, source);
    sourceCheck?.(found.info);
    await deps.vetoes({ action: 'object.put', bucket, key, userId: owner, size: found.info.content.size });
    const stored = await copyBytes(deps, input, found);
    const content: VersionContent = {
      ...found.info.content,
      ...stored.content,
      ...replace,
      ...(storageClass === undefined ? {} : { storageClass }),
    };
    const settings =
      input.settings ??
      (input.copyTags && found.info.settings.tags !== undefined ? { tags: found.info.settings.tags } : undefined);
    const result = await settle(stored, () =>
      deps.committer.commit(putIntent({ bucket, key, owner, content, settings, condition }, stored)),
    );
    return { ...result, ...(found.versioning === 'Off' ? {} : { sourceVersionId: found.info.versionId }) };
  } finally {
    endRead();
  }
}

export type CopiedBytes = StoredBytes &
  Pick<Ingested, 'release' | 'settled'> & { readonly content: Partial<VersionContent> };

/** Large bodies are shared by reference; small ones, or a body whose checksum is asked for anew, are stored again. */
export async function copyBytes(
  deps: Omit<ObjectsDeps, 'vetoes' | 'beginRead' | 'committer'>,
  { checksum }: Pick<CopyObjectInput, 'checksum'>,
  found: FoundBytes,
): Promise<CopiedBytes> {
  const { content } = found.record;
  if (found.record.local?.pending) throw bytesMissing(found.record.stamp);
  const needsChecksum = checksum !== undefined && !content.checksums?.some(({ algorithm }) => algorithm === checksum);
  if (found.record.local?.locator === undefined && !needsChecksum) {
    const shared = shareChunks(deps, content);
    return { ...shared, content: {} };
  }
  const body =
    content.size <= SMALL_BYTES
      ? { bytes: await deps.readSmall(found) }
      : { stream: deps.readStream(found), size: content.size };
  const stored = await deps.ingest(
    { ...body, ...(checksum ? { checksum: { algorithm: checksum } } : {}) },
    { owner: 'version' },
  );
  const nodes = await storeManifest(deps, stored.manifest).catch(async (error: unknown) => {
    await stored.release();
    throw error;
  });
  return {
    ...(stored.locator === undefined ? {} : { locator: stored.locator }),
    placements: [...stored.placements, ...nodes.placements],
    content: { manifest: nodes.manifest, ...(checksum ? { checksums: stored.checksums, etag: stored.md5Hex } : {}) },
    release: async () => void (await Promise.all([stored.release(), nodes.release()])),
    settled: () => (stored.settled(), nodes.settled()),
  };
}

const bytesMissing = (stamp: Stamp): SkerryError =>
  new SkerryError('Unavailable', 'the bytes of this version have not arrived at this site yet', {
    details: { stamp, retryAfterMs: 5000 },
  });

/** The chunks of an existing version, pinned so that they outlive it until the copy holds them. */
function shareChunks(
  { pins }: Pick<ObjectsDeps, 'pins'>,
  content: VersionContent,
): StoredBytes & Pick<Ingested, 'release' | 'settled'> {
  const hashes = [...content.manifest, ...(content.partsManifest ?? [])].map(({ hash }) => hash);
  for (const hash of hashes) pins.pin(hash);
  let pinned = true;
  const unpin = (): void => {
    if (pinned) for (const hash of hashes) pins.unpin(hash);
    pinned = false;
  };
  return { placements: [], release: async () => unpin(), settled: unpin };
}

function settingIntent(
  ref: ObjectRef,
  name: Parameters<ObjectService['putVersionSetting']>[1],
  value: Json,
): Intent<VersionInfo> {
  const { bucket, key } = ref;
  return {
    reads: { keys: readsOfKey(bucket, key) },
    appended: [],
    decide({ txn, author }) {
      bucketIn(txn, bucket);
      const { version } = versionIn(txn, ref);
      if (!version) {
        throw ref.versionId === undefined
          ? new SkerryError('NoSuchKey', 'The specified key does not exist.', { details: { key } })
          : new SkerryError('NoSuchVersion', 'The specified version does not exist.', {
              details: { key, versionId: ref.versionId },
            });
      }
      if (version.marker)
        throw new SkerryError('MethodNotAllowed', 'The specified method is not allowed against a delete marker', {
          details: { key, marker: true },
        });
      author({ type: 'version.setting', bucket, key, target: version.stamp, name, value });
      const after = versionIn(txn, ref);
      return versionInfo(bucket, key, after.version ?? version, after.head?.stamp === version.stamp);
    },
  };
}
