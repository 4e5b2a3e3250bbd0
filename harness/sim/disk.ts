/**
 * Simulated disk behind the FileSystem port. What was not synced is lost in a crash, sector by sector and in any order; names
 * not synced with their directory vanish too; space is bounded; every operation can be made to fail.
 */
import { SkerryError } from '../../core/contracts/index.ts';
import type { ErrorCode, FileHandle, FileStat, FileSystem, OpenMode } from '../../core/contracts/index.ts';
import { DiskFile } from './disk-file.ts';

export type DiskOperation = 'open' | 'read' | 'write' | 'sync' | 'truncate' | 'rename' | 'remove' | 'syncDirectory';

export interface DiskFault {
  readonly operation: DiskOperation;
  readonly code: ErrorCode;
  /** Only paths that match; default all. */
  readonly path?: RegExp;
  /** Matching calls that pass before the fault begins; default 0. */
  readonly after?: number;
  /** Calls that fail; default 1, `Infinity` for ever. */
  readonly times?: number;
}

export interface SimDiskOptions {
  /** Uniform in [0, 1); decides which unsynced sectors survive a crash. */
  readonly random: () => number;
  /** Bytes of files at most; default unbounded. A write that does not fit is cut short and rejects `OutOfSpace`. */
  readonly capacityBytes?: number;
  readonly nowMs?: () => number;
}

interface ArmedFault extends DiskFault {
  skips: number;
  left: number;
}

/** A change of a name that its directory's sync makes durable; no file means removed. */
interface NameChange {
  readonly path: string;
  readonly file: DiskFile | undefined;
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? (slash === 0 ? '/' : '.') : path.slice(0, slash);
}

class SimHandle implements FileHandle {
  readonly #disk: SimDisk;
  readonly #path: string;
  readonly #file: DiskFile;
  readonly #bootCount: number;
  readonly #isWritable: boolean;
  #isClosed = false;

  constructor(disk: SimDisk, path: string, file: DiskFile, isWritable: boolean) {
    this.#disk = disk;
    this.#path = path;
    this.#file = file;
    this.#isWritable = isWritable;
    this.#bootCount = disk.bootCount;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    return this.readSync(into, position);
  }

  readSync(into: Uint8Array, position: number): number {
    this.#check('read');
    const bytes = this.#file.read(position, into.length);
    into.set(bytes);
    return bytes.length;
  }

  async write(pieces: readonly Uint8Array[], position: number): Promise<void> {
    // a turn passes while the kernel takes the bytes; calls made meanwhile see the write neither begun nor done
    await Promise.resolve();
    this.writeSync(pieces, position);
  }

  writeSync(pieces: readonly Uint8Array[], position: number): void {
    this.#check('write');
    let at = position;
    for (const piece of pieces) {
      const fits = this.#disk.fitting(this.#file, at, piece.length);
      this.#file.write(piece.subarray(0, fits), at);
      if (fits < piece.length) throw new SkerryError('OutOfSpace', `no space for ${this.#path}`);
      at += piece.length;
    }
    this.#file.modifiedAtMs = this.#disk.nowMs();
  }

  async sync(): Promise<void> {
    await Promise.resolve();
    this.syncSync();
  }

  syncSync(): void {
    try {
      this.#check('sync');
    } catch (error) {
      this.#file.failSync();
      throw error;
    }
    this.#file.sync();
  }

  async size(): Promise<number> {
    this.#check(undefined);
    return this.#file.size;
  }

  async truncate(length: number): Promise<void> {
    this.#check('truncate');
    this.#file.truncate(length);
  }

  async close(): Promise<void> {
    if (!this.#isClosed) this.#disk.openCount -= 1;
    this.#isClosed = true;
  }

  #check(operation: DiskOperation | undefined): void {
    if (this.#isClosed) throw new SkerryError('Closed', `${this.#path} is closed`);
    if (this.#bootCount !== this.#disk.bootCount) throw new SkerryError('Io', 'the machine crashed under this handle');
    const isChange = operation === 'write' || operation === 'truncate';
    if (isChange && !this.#isWritable) throw new SkerryError('Io', `${this.#path} is open for reading only`);
    if (operation !== undefined) this.#disk.meet(operation, this.#path);
  }
}

export class SimDisk implements FileSystem {
  /** Crashes so far; handles of an earlier boot are dead. */
  bootCount = 0;
  /** Handles open now. */
  openCount = 0;
  readonly nowMs: () => number;
  readonly #random: () => number;
  readonly #directories = new Set<string>(['.', '/']);
  #capacityBytes: number;
  #names = new Map<string, DiskFile>();
  #durableNames = new Map<string, DiskFile>();
  #nameChanges: NameChange[] = [];
  #faults: ArmedFault[] = [];
  #temporaryCount = 0;

  constructor(options: SimDiskOptions) {
    this.#random = options.random;
    this.#capacityBytes = options.capacityBytes ?? Infinity;
    this.nowMs = options.nowMs ?? (() => 0);
  }

  /** Arms a fault; faults are met in the order they were armed. */
  inject(fault: DiskFault): void {
    this.#faults.push({ ...fault, skips: fault.after ?? 0, left: fault.times ?? 1 });
  }

  clearFaults(): void {
    this.#faults = [];
  }

  set capacityBytes(bytes: number) {
    this.#capacityBytes = bytes;
  }

  get usedBytes(): number {
    let used = 0;
    for (const file of new Set(this.#names.values())) used += file.size;
    return used;
  }

  /** Power off and on again. Each unsynced sector, and each unsynced name from some moment on, survives by chance. */
  crash(survival: number): void {
    const survives = (): boolean => this.#random() < survival;
    // names go through a journal: what survives is a prefix
    for (const change of this.#nameChanges) {
      if (!survives()) break;
      this.#applyDurably(change);
    }
    for (const file of new Set([...this.#names.values(), ...this.#durableNames.values()])) file.crash(survives);
    this.#names = new Map(this.#durableNames);
    this.#nameChanges = [];
    this.bootCount += 1;
    this.openCount = 0;
  }

  /** What a snapshot of the disk has, taken while the machine runs: what is durable now. */
  durableCopy(): SimDisk {
    const copy = new SimDisk({ random: this.#random, capacityBytes: this.#capacityBytes, nowMs: this.nowMs });
    for (const directory of this.#directories) copy.#directories.add(directory);
    for (const [name, file] of this.#durableNames) copy.#durableNames.set(name, file.durableCopy());
    copy.#names = new Map(copy.#durableNames);
    return copy;
  }

  /** Damage at rest. */
  flip(path: string, position: number, mask = 1): void {
    this.#existing(path).flip(position, mask);
  }

  /** For SimHandle: throws the fault that is due, if any. */
  meet(operation: DiskOperation, path: string): void {
    for (const fault of this.#faults) {
      if (fault.operation !== operation || fault.left === 0 || fault.path?.test(path) === false) continue;
      if (fault.skips > 0) {
        fault.skips -= 1;
        continue;
      }
      fault.left -= 1;
      throw new SkerryError(fault.code, `injected into ${operation} of ${path}`);
    }
  }

  /** For SimHandle: how many of `length` bytes at `position` there is space for. */
  fitting(file: DiskFile, position: number, length: number): number {
    if (this.#capacityBytes === Infinity) return length;
    const grown = Math.max(0, position + length - file.size);
    const free = Math.max(0, this.#capacityBytes - this.usedBytes);
    return Math.max(0, length - Math.max(0, grown - free));
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    this.meet('open', path);
    const found = this.#names.get(path);
    if (mode === 'create') {
      if (found !== undefined) throw new SkerryError('AlreadyExists', `${path} exists`);
      if (!this.#directories.has(parentOf(path))) throw new SkerryError('NotFound', `no directory for ${path}`);
      this.#setName(path, new DiskFile());
    }
    this.openCount += 1;
    return new SimHandle(this, path, this.#existing(path), mode !== 'read');
  }

  async readFile(path: string): Promise<Uint8Array | undefined> {
    this.meet('read', path);
    return this.#names.get(path)?.read(0, Infinity).slice();
  }

  async writeFileAtomic(path: string, data: Uint8Array): Promise<void> {
    this.#temporaryCount += 1;
    const name = path.slice(path.lastIndexOf('/') + 1);
    const temporary = `${parentOf(path)}/.${name}.${this.#temporaryCount}.tmp`;
    const handle = await this.open(temporary, 'create');
    try {
      await handle.write([data], 0);
      await handle.sync();
      await this.rename(temporary, path);
    } catch (error) {
      await this.remove(temporary);
      throw error;
    } finally {
      await handle.close();
    }
    await this.syncDirectory(parentOf(path));
  }

  async mkdir(path: string): Promise<void> {
    for (let directory = path; !this.#directories.has(directory); directory = parentOf(directory)) {
      this.#directories.add(directory);
    }
  }

  async list(path: string): Promise<readonly string[]> {
    const prefix = path === '/' ? path : `${path}/`;
    const all = [...this.#names.keys(), ...this.#directories];
    const names = all
      .filter((name) => name.startsWith(prefix) && name.length > prefix.length)
      .map((name) => name.slice(prefix.length))
      .filter((name) => !name.includes('/'));
    return names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  async stat(path: string): Promise<FileStat | undefined> {
    const file = this.#names.get(path);
    if (file !== undefined) return { size: file.size, isDirectory: false, modifiedAtMs: file.modifiedAtMs };
    return this.#directories.has(path) ? { size: 0, isDirectory: true, modifiedAtMs: 0 } : undefined;
  }

  async rename(from: string, to: string): Promise<void> {
    this.meet('rename', from);
    const file = this.#existing(from);
    this.#setName(to, file);
    this.#setName(from, undefined);
  }

  async remove(path: string): Promise<void> {
    this.meet('remove', path);
    if (this.#names.has(path)) this.#setName(path, undefined);
    else this.#directories.delete(path);
  }

  async syncDirectory(path: string): Promise<void> {
    this.meet('syncDirectory', path);
    const isOwn = (change: NameChange): boolean => parentOf(change.path) === path;
    for (const change of this.#nameChanges) if (isOwn(change)) this.#applyDurably(change);
    this.#nameChanges = this.#nameChanges.filter((change) => !isOwn(change));
  }

  async space(_path: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> {
    const totalBytes = Math.min(this.#capacityBytes, Number.MAX_SAFE_INTEGER);
    return { freeBytes: Math.max(0, totalBytes - this.usedBytes), totalBytes };
  }

  #existing(path: string): DiskFile {
    const file = this.#names.get(path);
    if (file === undefined) throw new SkerryError('NotFound', `${path} does not exist`);
    return file;
  }

  #setName(path: string, file: DiskFile | undefined): void {
    if (file === undefined) this.#names.delete(path);
    else this.#names.set(path, file);
    this.#nameChanges.push({ path, file });
  }

  #applyDurably(change: NameChange): void {
    if (change.file === undefined) this.#durableNames.delete(change.path);
    else this.#durableNames.set(change.path, change.file);
  }
}
