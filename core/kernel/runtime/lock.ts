/**
 * The lock on a data directory, and what the kernel needs to know of its own process.
 *
 * The lock is SQLite's: an exclusive transaction on an empty database file, held while the process lives. The operating system drops
 * it when the process ends, however it ends, so a stale lock cannot exist; it holds between containers that share a
 * volume, where process ids and socket names say nothing. `lock.json` beside it only tells people who holds it.
 */
import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { SkerryError } from '../../contracts/index.ts';

export interface DirectoryLock {
  /** Idempotent. */
  release(): void;
}

/** The process that a site runs in. The simulator brings its own. */
export interface Host {
  readonly pid: number;
  /** Resident memory in bytes. */
  memoryBytes(): number;
  /** Take the lock of an existing directory; `Locked` (details: `{ pid, path }`) while somebody holds it. */
  lockDirectory(path: string): DirectoryLock;
  /** What a copy of an existing file, wherever it is put, does not have in common with it. */
  identifyFile(path: string): FileIdentity;
}

/** A part that the system cannot tell is absent. No device numbers: they change with a reboot. */
export interface FileIdentity {
  readonly inode: string;
  /** When the file was made, nanoseconds. */
  readonly bornNs?: string;
  /** Digest of the machine's id. */
  readonly machine?: string;
}

export const nodeHost: Host = {
  pid: process.pid,
  memoryBytes: () => process.memoryUsage.rss(),
  lockDirectory,
  identifyFile,
};

function identifyFile(path: string): FileIdentity {
  try {
    const { ino, birthtimeNs, ctimeNs } = statSync(path, { bigint: true });
    const machine = readMachineId();
    // where the file system keeps no time of birth it is said to be that of the last change
    const isBorn = birthtimeNs > 0n && birthtimeNs !== ctimeNs;
    return {
      inode: String(ino),
      ...(isBorn ? { bornNs: String(birthtimeNs) } : {}),
      ...(machine === undefined ? {} : { machine }),
    };
  } catch (error) {
    throw new SkerryError('Io', `cannot identify ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** machine-id(5): not to be shown as it is. Containers have none, or that of their image. */
function readMachineId(): string | undefined {
  try {
    const id = readFileSync('/etc/machine-id', 'utf8').trim();
    return id === '' ? undefined : createHash('sha256').update(`skerry ${id}`).digest('hex').slice(0, 16);
  } catch {
    return undefined;
  }
}

/** A database that nobody refers to is closed by the garbage collector, and its lock with it: these are kept until released. */
const held = new Set<DatabaseSync>();

function lockDirectory(path: string): DirectoryLock {
  const database = openLockFile(path);
  try {
    database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!isBusy(error))
      throw new SkerryError('Io', `cannot lock ${path}: ${(error as Error).message}`, { cause: error });
    const pid = readHolder(path);
    const holder = pid === undefined ? 'another process' : `process ${pid}`;
    throw new SkerryError('Locked', `data directory ${path} is in use by ${holder}`, {
      cause: error,
      details: { path, pid },
    });
  }
  try {
    writeFileSync(join(path, 'lock.json'), `${JSON.stringify({ pid: process.pid })}\n`, { mode: 0o600 });
  } catch (error) {
    database.close();
    throw new SkerryError('Io', `cannot write ${join(path, 'lock.json')}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  held.add(database);
  return {
    release() {
      if (held.delete(database)) database.close();
    },
  };
}

function openLockFile(path: string): DatabaseSync {
  try {
    return new DatabaseSync(join(path, 'lock'));
  } catch (error) {
    throw new SkerryError('Io', `cannot open the lock of ${path}: ${(error as Error).message}`, { cause: error });
  }
}

const SQLITE_BUSY = 5;

function isBusy(error: unknown): boolean {
  const { errcode } = error as { readonly errcode?: number };
  return errcode !== undefined && (errcode & 0xff) === SQLITE_BUSY;
}

function readHolder(path: string): number | undefined {
  try {
    const { pid } = JSON.parse(readFileSync(join(path, 'lock.json'), 'utf8')) as { readonly pid?: unknown };
    return typeof pid === 'number' ? pid : undefined;
  } catch {
    return undefined; // the holder has not written it yet
  }
}
