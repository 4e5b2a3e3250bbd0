/**
 * Reads every chunk that versions refer to and compares it with its hash (`repl-validate --deep`). Shared chunks are read once, by
 * their rows; then every version is looked at: its own small body, and whether all that it refers to is here and good.
 */
import {
  SkerryError,
  isSkerryError,
  type ChunkHash,
  type ChunkStore,
  type Hashing,
  type Locator,
  type ManifestEntry,
  type MetaReader,
} from '../contracts/index.ts';
import { refuseAborted } from './audit.ts';
import type { Damage } from './damage.ts';
import type { Healing, SoughtBytes } from './healing.ts';
import { chunkKey } from './keys.ts';
import { heldVersions, type HeldVersion } from './live.ts';
import { parseNode } from './manifest.ts';
import { decodeRecord, type ChunkRow, type VersionRecord } from './records.ts';
import type { Reclaimer } from './reclaim.ts';
import { findRecord } from './replica-chunks.ts';
import { refOf, type VersionRef } from './version-ref.ts';
import { scanPages } from './scan-pages.ts';

export interface BytesDeps {
  readonly reader: MetaReader;
  readonly chunkStore: Pick<ChunkStore, 'read'>;
  readonly hashing: Hashing;
  readonly reclaimer: Pick<Reclaimer, 'beginRead'>;
  readonly damage: Damage;
  readonly healing: Pick<Healing, 'heal' | 'locate'>;
}

export interface BadBytes extends VersionRef {
  readonly hash: ChunkHash;
  /** `missing`: this site has no record of it, although the version is not waiting for bytes. */
  readonly what: 'damaged' | 'missing';
  readonly repaired: boolean;
  /** Why it could not be repaired. */
  readonly reason?: string;
}

export interface BytesReport {
  /** Records that were read. */
  readonly chunks: number;
  readonly bytes: number;
  readonly versions: number;
  /** The first 1,000. */
  readonly bad: readonly BadBytes[];
  readonly badCount: number;
  readonly repairedCount: number;
  /** Damaged chunks that no version refers to: of uploads in flight, or garbage. */
  readonly unheld: number;
}

export interface BytesRequest {
  /** Fetches what is bad from peers. */
  readonly repair: boolean;
  readonly onProgress?: (progress: { readonly chunks: number; readonly bytes: number }) => void;
  readonly signal?: AbortSignal;
}

type HeldBytes = SoughtBytes & { readonly holder: VersionRef };

const PAGE = 256;
const BAD_SHOWN_MAX = 1000;

export function verifyBytes(deps: BytesDeps, request: BytesRequest): Promise<BytesReport> {
  return new Verification(deps, request).run();
}

class Verification {
  readonly #deps: BytesDeps;
  readonly #request: BytesRequest;
  /** Damaged shared chunks, until a version that holds them is found. */
  readonly #damaged = new Map<ChunkHash, Locator>();
  readonly #held = new Set<ChunkHash>();
  readonly #bad: BadBytes[] = [];
  #chunks = 0;
  #bytes = 0;
  #versions = 0;
  #badCount = 0;
  #repairedCount = 0;

  constructor(deps: BytesDeps, request: BytesRequest) {
    this.#deps = deps;
    this.#request = request;
  }

  async run(): Promise<BytesReport> {
    await this.#readShared();
    for await (const version of heldVersions(this.#deps.reader)) await this.#visit(version);
    return {
      chunks: this.#chunks,
      bytes: this.#bytes,
      versions: this.#versions,
      bad: this.#bad,
      badCount: this.#badCount,
      repairedCount: this.#repairedCount,
      unheld: [...this.#damaged.keys()].filter((hash) => !this.#held.has(hash)).length,
    };
  }

  async #readShared(): Promise<void> {
    for await (const rows of scanPages(this.#deps.reader, { space: 'chunks', limit: PAGE })) {
      const endRead = this.#deps.reclaimer.beginRead();
      try {
        for (const { key } of rows) await this.#readChunk(Buffer.from(key).toString('utf8'));
      } finally {
        endRead();
      }
    }
  }

  /** By its row as it is now: it may have moved or gone since the page was read. */
  async #readChunk(hash: ChunkHash): Promise<void> {
    refuseAborted(this.#request.signal);
    const [row] = await this.#deps.reader.get([chunkKey(hash)]);
    if (!row) return;
    const { locator } = decodeRecord<ChunkRow>(row);
    if (await this.#isGood(hash, locator)) return;
    this.#damaged.set(hash, locator);
    this.#deps.damage.note(locator, { hash, owner: undefined });
  }

  async #isGood(hash: ChunkHash, locator: Locator): Promise<boolean> {
    try {
      const bytes = await this.#deps.chunkStore.read(locator);
      this.#chunks++;
      this.#bytes += bytes.length;
      if (this.#chunks % PAGE === 0) this.#request.onProgress?.({ chunks: this.#chunks, bytes: this.#bytes });
      const digest = await this.#deps.hashing.hashAsync('sha256', bytes);
      return hash === `sha256:${Buffer.from(digest).toString('hex')}`;
    } catch (error) {
      if (isSkerryError(error, 'Corrupt') || isSkerryError(error, 'NotFound')) return false;
      throw error;
    }
  }

  /** As it was when its page was read: what looks wrong is looked up once more. */
  async #visit(version: HeldVersion): Promise<void> {
    const endRead = this.#deps.reclaimer.beginRead();
    try {
      await this.#checkVersion(refOf(version), version.record);
    } finally {
      endRead();
    }
  }

  async #checkVersion(holder: VersionRef, { content, local }: VersionRecord): Promise<void> {
    refuseAborted(this.#request.signal);
    if (!content || local?.pending) return;
    this.#versions++;
    const [entry] = content.manifest;
    if (local?.locator !== undefined)
      return entry && this.#checkOwn({ entry, holder, locator: local.locator, isOwn: true });
    await this.#checkEntries(holder, [...content.manifest, ...(content.partsManifest ?? [])]);
  }

  async #checkOwn(sought: HeldBytes & { readonly locator: Locator }): Promise<void> {
    const { entry, locator } = sought;
    if (await this.#isGood(entry.hash, locator)) return;
    const now = await this.#deps.healing.locate(sought);
    // Replaced or removed while it was read: its successor is met on its own.
    if (now !== locator) return;
    await this.#found(sought, 'damaged');
  }

  async #checkEntries(holder: VersionRef, entries: readonly ManifestEntry[]): Promise<void> {
    const rows = await this.#deps.reader.get(entries.map(({ hash }) => chunkKey(hash)));
    for (const [i, entry] of entries.entries()) {
      const row = rows[i];
      const sought = { entry, holder, isOwn: false, locator: row && decodeRecord<ChunkRow>(row).locator };
      const isDamaged = this.#damaged.get(entry.hash) === sought.locator;
      if (sought.locator === undefined) await this.#found(sought, 'missing');
      else if (isDamaged && !this.#held.has(entry.hash)) await this.#found(sought, 'damaged');
      if (entry.span !== undefined) await this.#checkNode(holder, entry);
    }
  }

  async #checkNode(holder: VersionRef, entry: ManifestEntry): Promise<void> {
    const [row] = await this.#deps.reader.get([chunkKey(entry.hash)]);
    const locator = row && decodeRecord<ChunkRow>(row).locator;
    // Bad and not repaired: what is under it is not known.
    if (locator === undefined || this.#damaged.get(entry.hash) === locator) return;
    const children = await this.#readNode(entry, locator);
    if (children) return this.#checkEntries(holder, children);
    this.#damaged.set(entry.hash, locator);
    await this.#found({ entry, holder, isOwn: false, locator }, 'damaged');
    await this.#checkNode(holder, entry);
  }

  /** `undefined` for one that was good a moment ago. */
  async #readNode(entry: ManifestEntry, locator: Locator): Promise<readonly ManifestEntry[] | undefined> {
    try {
      return parseNode(entry, await this.#deps.chunkStore.read(locator));
    } catch (error) {
      if (isSkerryError(error, 'Corrupt') || isSkerryError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  async #found(sought: HeldBytes, what: BadBytes['what']): Promise<void> {
    const { hash } = sought.entry;
    const isGone = what === 'missing' && !(await this.#isStillHeld(sought));
    if (isGone) return;
    this.#held.add(hash);
    this.#badCount++;
    const reason = await this.#tryRepair(sought);
    if (reason === undefined) this.#repairedCount++;
    const outcome = reason === undefined ? { repaired: true } : { repaired: false, reason };
    if (this.#bad.length < BAD_SHOWN_MAX) this.#bad.push({ ...sought.holder, hash, what, ...outcome });
  }

  /** A version that was removed meanwhile has let go of its chunks. */
  async #isStillHeld(sought: HeldBytes): Promise<boolean> {
    const known = await findRecord(this.#deps, sought.holder);
    return known !== undefined && known.local?.pending !== true;
  }

  /** Why it could not be repaired. */
  async #tryRepair(sought: SoughtBytes): Promise<string | undefined> {
    const { hash } = sought.entry;
    const cause = new SkerryError('Corrupt', 'stored bytes are damaged or gone', { details: { hash } });
    if (!this.#request.repair) {
      if (sought.locator !== undefined)
        this.#deps.damage.note(sought.locator, { hash, owner: sought.isOwn ? sought.holder : undefined });
      return 'run it with --repair to mend it';
    }
    try {
      await this.#deps.healing.heal(sought, cause, this.#request.signal);
      return undefined;
    } catch (error) {
      if (isSkerryError(error, 'Aborted') || !isSkerryError(error)) throw error;
      return error === cause ? 'there is no peer to ask' : error.message;
    }
  }
}
