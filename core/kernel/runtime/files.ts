/** The machine's file system behind the FileSystem port: plain file descriptors, errno mapped to coded errors. */
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { isSkerryError, SkerryError } from '../../contracts/index.ts';
import type { ErrorCode, FileHandle, FileStat, FileSystem, OpenMode } from '../../contracts/index.ts';

const CODE_OF_ERRNO: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'OutOfSpace',
  EDQUOT: 'OutOfSpace',
  ENOENT: 'NotFound',
  EEXIST: 'AlreadyExists',
  EACCES: 'AccessDenied',
  EPERM: 'AccessDenied',
};

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** The SkerryError of what node:fs threw. */
export function fileError(error: unknown, filePath: string): SkerryError {
  if (isSkerryError(error)) return error;
  const errno = errnoOf(error);
  const code = (errno === undefined ? undefined : CODE_OF_ERRNO[errno]) ?? 'Io';
  const message = error instanceof Error ? error.message : String(error);
  return new SkerryError(code, message, { cause: error, details: { path: filePath, errno } });
}

async function mapped<T>(filePath: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw fileError(error, filePath);
  }
}

async function absentAs<T, U>(fallback: U, filePath: string, run: () => Promise<T>): Promise<T | U> {
  try {
    return await run();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return fallback;
    throw fileError(error, filePath);
  }
}

/** What is left of `pieces` after the kernel took `written` bytes of them. */
function unwritten(pieces: readonly Uint8Array[], written: number): Uint8Array[] {
  let skip = written;
  const rest: Uint8Array[] = [];
  for (const piece of pieces) {
    if (skip >= piece.length) skip -= piece.length;
    else {
      rest.push(skip === 0 ? piece : piece.subarray(skip));
      skip = 0;
    }
  }
  return rest;
}

/**
 * node:fs callbacks on a bare descriptor: no FileHandle object, no stream, measured the cheapest way through libuv.
 * `close` waits for running calls, since a descriptor number is reused at once by the next open.
 */
class NodeFileHandle implements FileHandle {
  readonly #fd: number;
  readonly #path: string;
  #running = 0;
  #closed: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  constructor(fd: number, filePath: string) {
    this.#fd = fd;
    this.#path = filePath;
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#call((done) => fs.read(this.#fd, into, 0, into.length, position, done));
  }

  readSync(into: Uint8Array, position: number): number {
    return this.#callSync(() => fs.readSync(this.#fd, into, 0, into.length, position));
  }

  async write(pieces: readonly Uint8Array[], position: number): Promise<void> {
    let rest = unwritten(pieces, 0);
    let offset = position;
    while (rest.length > 0) {
      const now = rest;
      const at = offset;
      const written = await this.#call<number>((done) => fs.writev(this.#fd, now, at, done));
      offset += written;
      rest = unwritten(rest, written);
    }
  }

  writeSync(pieces: readonly Uint8Array[], position: number): void {
    let rest = unwritten(pieces, 0);
    let offset = position;
    while (rest.length > 0) {
      const now = rest;
      const at = offset;
      const written = this.#callSync(() => fs.writevSync(this.#fd, now, at));
      offset += written;
      rest = unwritten(rest, written);
    }
  }

  sync(): Promise<void> {
    return this.#call<void>((done) => fs.fdatasync(this.#fd, done));
  }

  syncSync(): void {
    this.#callSync(() => fs.fdatasyncSync(this.#fd));
  }

  async size(): Promise<number> {
    const stat = await this.#call<fs.Stats>((done) => fs.fstat(this.#fd, done));
    return stat.size;
  }

  truncate(length: number): Promise<void> {
    return this.#call<void>((done) => fs.ftruncate(this.#fd, length, done));
  }

  close(): Promise<void> {
    this.#closed ??= this.#closeOnce();
    return this.#closed;
  }

  async #closeOnce(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    await mapped(
      this.#path,
      () => new Promise<void>((resolve, reject) => fs.close(this.#fd, (error) => (error ? reject(error) : resolve()))),
    );
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw new SkerryError('Closed', `${this.#path} is closed`);
  }

  #call<T>(start: (done: (error: NodeJS.ErrnoException | null, value?: T) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#assertOpen();
      start((error, value) => {
        this.#running -= 1;
        if (this.#running === 0) this.#onIdle?.();
        if (error) reject(fileError(error, this.#path));
        else resolve(value as T);
      });
      this.#running += 1;
    });
  }

  #callSync<T>(run: () => T): T {
    this.#assertOpen();
    try {
      return run();
    } catch (error) {
      throw fileError(error, this.#path);
    }
  }
}

const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: fs.constants.O_RDONLY,
  update: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
};

function open(filePath: string, mode: OpenMode, options: { readonly permissions?: number } = {}): Promise<FileHandle> {
  return new Promise((resolve, reject) => {
    fs.open(filePath, FLAGS[mode], options.permissions ?? 0o600, (error, fd) => {
      if (error) reject(fileError(error, filePath));
      else resolve(new NodeFileHandle(fd, filePath));
    });
  });
}

async function syncDirectory(directory: string): Promise<void> {
  await mapped(directory, async () => {
    const handle = await fsp.open(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  });
}

/** Distinguishes temporary names of concurrent writers of one process; the process id does so between processes. */
let temporaryCount = 0;

async function writeFileAtomic(
  filePath: string,
  data: Uint8Array,
  options: { readonly permissions?: number } = {},
): Promise<void> {
  const directory = path.dirname(filePath);
  temporaryCount += 1;
  const temporary = path.join(directory, `.${path.basename(filePath)}.${process.pid}-${temporaryCount}.tmp`);
  try {
    const handle = await open(temporary, 'create', options);
    try {
      await handle.write([data], 0);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await mapped(filePath, () => fsp.rename(temporary, filePath));
  } catch (error) {
    throw await withoutTemporary(temporary, fileError(error, filePath));
  }
  await syncDirectory(directory);
}

/** Removes the temporary file of a failed write; `failure`, joined by what went wrong in removing. */
async function withoutTemporary(temporary: string, failure: SkerryError): Promise<SkerryError> {
  try {
    await remove(temporary);
    return failure;
  } catch (error) {
    const cause = new AggregateError([failure, error], 'the write and its clean-up failed');
    return new SkerryError(failure.code, failure.message, { cause, details: failure.details });
  }
}

async function mkdir(directory: string, options: { readonly permissions?: number } = {}): Promise<void> {
  const firstMade = await mapped(directory, () =>
    fsp.mkdir(directory, { recursive: true, mode: options.permissions ?? 0o700 }),
  );
  if (firstMade === undefined) return;
  // every new name is an entry of its parent, so each parent on the way up to the first one made must be synced
  const top = path.dirname(path.resolve(firstMade));
  for (let parent = path.dirname(path.resolve(directory)); ; parent = path.dirname(parent)) {
    await syncDirectory(parent);
    if (parent === top || parent === path.dirname(parent)) return;
  }
}

async function list(directory: string): Promise<readonly string[]> {
  const names = await absentAs([], directory, () => fsp.readdir(directory, { encoding: 'buffer' }));
  return names.sort(Buffer.compare).map((name) => name.toString('utf8'));
}

async function stat(filePath: string): Promise<FileStat | undefined> {
  const found = await absentAs(undefined, filePath, () => fsp.stat(filePath));
  if (found === undefined) return undefined;
  return { size: found.size, isDirectory: found.isDirectory(), modifiedAtMs: found.mtimeMs };
}

async function remove(filePath: string): Promise<void> {
  try {
    await absentAs(undefined, filePath, () => fsp.unlink(filePath));
  } catch (error) {
    const isDirectory = isSkerryError(error) && error.details['errno'] === 'EISDIR';
    if (!isDirectory) throw error;
    await absentAs(undefined, filePath, () => fsp.rmdir(filePath));
  }
}

async function space(filePath: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> {
  const volume = await mapped(filePath, () => fsp.statfs(filePath));
  return { freeBytes: volume.bavail * volume.bsize, totalBytes: volume.blocks * volume.bsize };
}

/** The machine's file system. */
export const nodeFiles: FileSystem = Object.freeze({
  open,
  readFile: (filePath: string) => absentAs(undefined, filePath, () => fsp.readFile(filePath)),
  writeFileAtomic,
  mkdir,
  list,
  stat,
  rename: (from: string, to: string) => mapped(from, () => fsp.rename(from, to)),
  remove,
  syncDirectory,
  space,
});
