/**
 * Checks of what a peer's snapshot holds. Entities go into this site's rows as they come, so that they may say nothing that only
 * this site knows (where bytes lie, what readers are shown), and tell of no op that the snapshot does not cover.
 */
import type { Hlc, Stamp, VersionVector } from '../contracts/index.ts';
import type { CutEntity, CutPosition, CutTombstone, CutVersion } from '../engine/cut-entities.ts';
import { decodePosition, positionOf } from '../engine/cut-entities.ts';
import type { BucketRecord, Register, Removal } from '../engine/records.ts';
import { stampDot, stampHlc } from '../engine/stamp.ts';
import { coversDot } from '../engine/vector.ts';
import { flag, listOf, mapOf, oneOf, optional, record, refuse, textLike, whole, yes, type Check } from './check.ts';
import { stamp, vector, wallMs } from './identity-checks.ts';
import { bucket, content, id, key, owner, settingName, value } from './op-checks.ts';

/** Most entities of one page. */
export const ENTITIES_MAX = 2000;
const SETTINGS_MAX = 64;
const LIST_MAX = 10_000;
/** An entity becomes a row of at most 1 MiB, with what this site adds. */
const ENTITY_MAX_BYTES = 1024 * 1024 - 64 * 1024;

export const cutId = textLike<string>(/^[0-9a-f]{16}$/, 'the id of a snapshot');
export const position = textLike<CutPosition>(/^[A-Za-z0-9_-]{1,8192}$/, 'a position in a snapshot');

const absent: Check<undefined> = (given, at) =>
  given === undefined ? undefined : refuse(at, 'not for other sites to say');

const register: Check<Register> = record({ value, stamp }) as Check<Register>;
const removal: Check<Removal> = record({ stamp, deps: vector });

const bucketRecord = record({
  owner,
  createdAtMs: wallMs,
  stamp,
  objectLock: optional(yes),
  settings: mapOf(
    settingName,
    record({ value, stamp, removed: optional(yes), seen: optional(yes), past: optional(value) }),
    SETTINGS_MAX,
  ),
  creations: optional(
    listOf(
      record({
        stamp,
        owner,
        createdAtMs: wallMs,
        objectLock: optional(yes),
        removed: optional(removal),
        seen: optional(yes),
      }),
      LIST_MAX,
    ),
  ),
});

const versionShape = record({
  stamp,
  deps: vector,
  nullVersion: optional(yes),
  marker: optional(yes),
  owner,
  modifiedAtMs: whole(0),
  content: optional(content),
  settings: optional(mapOf(settingName, register, SETTINGS_MAX)),
  locks: optional(listOf(record({ stamp, untilMs: optional(whole(0)) }), LIST_MAX)),
  local: absent,
  nullStamp: absent,
  conflicts: absent,
  seen: absent,
  shadow: absent,
});

const version: Check<CutVersion> = (given, at) => {
  const checked = versionShape(given, at) as CutVersion;
  if ((checked.marker === true) !== (checked.content === undefined))
    refuse(at, 'a delete marker, or a content, and not both');
  const { origin, seq } = stampDot(checked.stamp);
  if ((checked.deps[origin] ?? 0) !== seq - 1) refuse(`${at}.deps`, 'not right behind the op before it');
  return checked;
};

const tombstone = record({
  stamp,
  deps: vector,
  kept: optional(version),
  removals: optional(listOf(removal, LIST_MAX)),
  conflicts: absent,
}) as Check<CutTombstone>;

const KINDS: Readonly<Record<CutEntity['kind'], Check<unknown>>> = {
  bucket: record({ bucket, record: bucketRecord }),
  tombstone: record({
    bucket,
    key,
    target: (given, at) => (given === null ? null : stamp(given, at)),
    tombstone,
  }),
  version: record({ bucket, key, version, live: flag, seen: flag }),
  register: record({ of: textLike(/^[a-z]{1,32}$/, 'a kind of register'), id, register }),
};

const kind = record({ kind: oneOf('bucket', 'tombstone', 'version', 'register') });

export const cutEntity: Check<CutEntity> = (given, at) => {
  KINDS[kind(given, at).kind](given, at);
  return given as CutEntity;
};

/** Shapes alone; see `checkPage` for what a page says as a part of its snapshot. */
export const pageShape = record({ entities: listOf(cutEntity, ENTITIES_MAX), to: optional(position) });

/** What a page is a part of. */
export interface PageBounds {
  readonly after: CutPosition | undefined;
  /** Every op that the entities may tell of. */
  readonly vector: VersionVector;
  readonly hlc: Hlc;
}

/** `InvalidArgument` for a page that goes back, goes nowhere, or tells of what the snapshot does not cover. */
export function checkPage(
  page: { readonly entities: readonly CutEntity[]; readonly to?: CutPosition },
  pageBytes: number,
  bounds: PageBounds,
): void {
  const { entities, to } = page;
  let last = bounds.after === undefined ? undefined : decodePosition(bounds.after);
  for (const [index, each] of entities.entries()) {
    const at = positionOf(each);
    if (last && Buffer.compare(at, last) <= 0) refuse(`entities[${index}]`, 'out of order');
    last = at;
    checkStamps(each, bounds, `entities[${index}]`);
    if (pageBytes > ENTITY_MAX_BYTES && Buffer.byteLength(JSON.stringify(each)) > ENTITY_MAX_BYTES)
      refuse(`entities[${index}]`, 'an entity that is too long');
  }
  if (to === undefined) return;
  const end = decodePosition(to);
  if (entities.length === 0 || !last || Buffer.compare(end, last) < 0) refuse('to', 'not past what the page holds');
}

function checkStamps(each: CutEntity, { vector: covered, hlc }: PageBounds, at: string): void {
  for (const one of stampsOf(each)) {
    if (!coversDot(covered, stampDot(one))) refuse(at, 'of an op that the snapshot does not cover');
    if (stampHlc(one) > hlc) refuse(at, 'of a time that the snapshot does not know');
  }
}

/** Stamps of all ops that an entity is made of. */
export function stampsOf(each: CutEntity): readonly Stamp[] {
  switch (each.kind) {
    case 'bucket':
      return bucketStamps(each.record);
    case 'register':
      return [each.register.stamp];
    case 'tombstone': {
      const { stamp: own, removals = [], kept } = each.tombstone;
      return [own, ...removals.map((one) => one.stamp), ...(kept ? versionStamps(kept) : [])];
    }
    case 'version':
      return versionStamps(each.version);
  }
}

function bucketStamps({ stamp: own, settings, creations = [] }: BucketRecord): readonly Stamp[] {
  const made = creations.flatMap((one) => [one.stamp, ...(one.removed ? [one.removed.stamp] : [])]);
  return [own, ...Object.values(settings).map((setting) => setting.stamp), ...made];
}

function versionStamps({ stamp: own, settings = {}, locks = [] }: CutVersion): readonly Stamp[] {
  return [own, ...Object.values(settings).map((setting) => setting.stamp), ...locks.map((lock) => lock.stamp)];
}
