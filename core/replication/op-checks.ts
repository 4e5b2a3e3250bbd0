/**
 * Checks of one op from another site. What is not understood (a type, a field, a setting of a newer version) stays in it
 * verbatim; what is understood has the right shape, so that applying it cannot fail.
 */
import type { Manifest, Op, VersionContent } from '../contracts/index.ts';
import { totalSpan } from '../engine/manifest.ts';
import { stampDot } from '../engine/stamp.ts';
import {
  flag,
  jsonTo,
  listOf,
  mapOf,
  oneOf,
  optional,
  record,
  refuse,
  text,
  textLike,
  whole,
  type Check,
} from './check.ts';
import { chunkHash, origin, seq, stamp, vector, wallMs } from './identity-checks.ts';

const JSON_DEPTH = 64;
const CHUNK_MAX_BYTES = 16 * 1024 * 1024;
const ENTRIES_MAX = 10_000;
const NAMES_MAX = 1000;
/** Bytes of UTF-8, as S3 has it. */
const KEY_MAX_BYTES = 1024;
/** An op becomes a row of the oplog and part of a row of its entity: 1 MiB less what they add. */
const OP_MAX_BYTES = 1024 * 1024 - 64 * 1024;

export const bucket = textLike(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'a bucket name');
export const id = text(1024, 1);
export const owner = text(1024);
export const value = jsonTo(JSON_DEPTH);
export const settingName = textLike(/^[a-zA-Z][a-zA-Z0-9-]{0,63}$/, 'the name of a setting');

export const key: Check<string> = (given, at) => {
  const name = text(KEY_MAX_BYTES, 1)(given, at);
  return Buffer.byteLength(name) <= KEY_MAX_BYTES ? name : refuse(at, `longer than ${KEY_MAX_BYTES} bytes`);
};

const manifest: Check<Manifest> = listOf(
  record({ hash: chunkHash, length: whole(0, CHUNK_MAX_BYTES), span: optional(whole(0)) }),
  ENTRIES_MAX,
);

const contentShape = record({
  size: whole(0),
  etag: text(256),
  manifest,
  headers: mapOf(text(256), text(16_384), NAMES_MAX),
  metadata: mapOf(text(4096), text(16_384), NAMES_MAX),
  storageClass: text(64),
  checksums: optional(listOf(record({ algorithm: text(32), type: text(32), value: text(256) }), 32)),
  parts: optional(listOf(record({ number: whole(1), size: whole(0), checksum: optional(text(256)) }), ENTRIES_MAX)),
  partsManifest: optional(manifest),
});

export const content: Check<VersionContent> = (given, at) => {
  const checked = contentShape(given, at) as VersionContent;
  return totalSpan(checked.manifest) === checked.size
    ? checked
    : refuse(`${at}.size`, 'not the bytes that the manifest covers');
};

const versionPut = record({
  bucket,
  key,
  nullVersion: flag,
  marker: flag,
  content: optional(content),
  owner,
  modifiedAtMs: whole(0),
  settings: optional(mapOf(settingName, value, 64)),
});

const named = record({ id });
const valued = record({ id, value });

/** By type; a type that is not here is kept and relayed as it is. */
const BODIES: Readonly<Record<string, Check<unknown>>> = {
  'bucket.create': record({ bucket, owner, createdAtMs: wallMs, objectLock: optional(flag) }),
  'bucket.remove': record({ bucket }),
  'bucket.setting': record({ bucket, name: settingName, value }),
  'version.put': (given, at) => {
    const put = versionPut(given, at);
    return put.marker === (put.content === undefined) ? put : refuse(at, 'a delete marker, or a content, and not both');
  },
  'version.remove': record({
    bucket,
    key,
    target: (given, at) => (given === null ? null : stamp(given, at)),
    tentative: optional(flag),
  }),
  'version.setting': record({ bucket, key, target: stamp, name: settingName, value }),
  'principal.put': valued,
  'principal.remove': named,
  'policy.put': valued,
  'policy.remove': named,
  'member.put': valued,
  'member.remove': named,
};

const typeName = textLike<string>(/^[a-z]{1,32}\.[a-z-]{1,32}$/, 'the type of an op');
const envelope = record({ dot: record({ origin, seq }), stamp, deps: vector, body: record({ type: typeName }) });

/** An op whose parts agree with each other. */
export const opCheck: Check<Op> = (given, at) => {
  const op = envelope(given, at);
  const dot = stampDot(op.stamp);
  if (dot.origin !== op.dot.origin || dot.seq !== op.dot.seq) return refuse(`${at}.stamp`, 'of another op');
  if ((op.deps[dot.origin] ?? 0) !== dot.seq - 1) return refuse(`${at}.deps`, 'not right behind the op before it');
  const { type } = op.body;
  (Object.hasOwn(BODIES, type) ? BODIES[type] : value)?.(op.body, `${at}.body`);
  return op as unknown as Op;
};

/** `jsonBytes`: what the op's whole message takes; only a long one can hold an op that is too long. */
export function checkOpSize(op: Op, jsonBytes: number, at: string): void {
  if (jsonBytes <= OP_MAX_BYTES) return;
  const bytes = Buffer.byteLength(JSON.stringify(op));
  if (bytes > OP_MAX_BYTES) refuse(at, `an op of ${bytes} bytes`);
}

export const recordKind = oneOf('data', 'node');
export const chunkLength = whole(0, CHUNK_MAX_BYTES);
