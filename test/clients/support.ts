/**
 * Real S3 clients against a real site: `skerry serve` as a child process on a free port, client programs as they are installed.
 * A client that is not there is skipped with a printed reason; with REQUIRE_CLIENTS=1 it is a failure.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { accessSync, constants, createReadStream, realpathSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../core/cli.ts', import.meta.url));
/** A client that hangs must not hang the suite. */
const CLIENT_LIMIT_MS = 180_000;

export interface Site {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Directory for the test's own files. */
  readonly workDir: string;
  /** Environment for client programs: credentials, region, and nothing of this machine's own configuration. */
  readonly env: Readonly<Record<string, string>>;
  /** Ends the site, checks that it ended well, and removes all files. */
  stop(): Promise<void>;
}

export interface SiteWithTree extends Site {
  /** Directory `source` in `workDir`, with the files of the tree. */
  readonly source: string;
}

/** A site, and a tree of files to send to it. */
export async function startSiteWithTree(): Promise<SiteWithTree> {
  const site = await startSite();
  const source = join(site.workDir, 'source');
  await writeTree(source);
  return { ...site, source };
}

/** Starts a site and waits for its `ready` line. */
export async function startSite(): Promise<Site> {
  const dir = await mkdtemp(join(tmpdir(), 'skerry-client-'));
  const workDir = join(dir, 'work');
  await mkdir(workDir);
  const accessKeyId = 'CLIENTTESTKEY0000001';
  const secretAccessKey = 'client/test+secret=0123456789abcdefghijk';
  const child = spawn(
    process.execPath,
    [CLI, 'serve', '--json', '--data-dir', join(dir, 'data'), '--listen', '127.0.0.1:0'],
    {
      cwd: dir,
      env: {
        PATH: process.env['PATH'],
        HOME: dir,
        SKERRY_ROOT_ACCESS_KEY: accessKeyId,
        SKERRY_ROOT_SECRET_KEY: secretAccessKey,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const log = collect(child);
  const endpoint = await readyEndpoint(child, log);
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: workDir,
    LC_ALL: 'C.UTF-8',
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_PAGER: '',
    no_proxy: '127.0.0.1',
  };
  const stop = async (): Promise<void> => {
    const ended = exitOf(child);
    child.kill('SIGTERM');
    const code = await ended;
    await rm(dir, { recursive: true, force: true });
    if (code !== 0) throw new Error(`the site ended with ${code}:\n${log()}`);
  };
  return { endpoint, accessKeyId, secretAccessKey, workDir, env, stop };
}

function collect({ stderr }: ChildProcess): () => string {
  let text = '';
  stderr?.setEncoding('utf8').on('data', (piece: string) => {
    text = (text + piece).slice(-20_000);
  });
  return () => text;
}

function exitOf(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode);
    else child.once('exit', (code, signal) => resolve(code ?? signal ?? 'an unknown end'));
  });
}

async function readyEndpoint(child: ChildProcess, log: () => string): Promise<string> {
  const { stdout } = child;
  if (stdout === null) throw new Error('the site has no standard output');
  for await (const line of createInterface({ input: stdout })) {
    const { event, addresses } = JSON.parse(line) as { readonly event: string; readonly addresses: readonly string[] };
    const endpoint = addresses.find((address) => address.startsWith('http://'));
    // What follows on standard output is not ours to read, but must not fill the pipe.
    stdout.resume();
    if (event === 'ready' && endpoint !== undefined) return endpoint;
  }
  throw new Error(`the site did not become ready:\n${log()}`);
}

/** Different programs of that name on the PATH, in its order. */
export function programs(name: string): readonly string[] {
  const found = new Map<string, string>();
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      const real = realpathSync(path);
      if (!found.has(real)) found.set(real, path);
    } catch {
      continue;
    }
  }
  return [...found.values()];
}

/** For `test(name, { skip: ... })`: false when the client is there, else the reason. Throws when clients are required. */
export function skipWithout(name: string, found: boolean): string | false {
  if (found) return false;
  const reason = `${name} is not installed`;
  if (process.env['REQUIRE_CLIENTS'] === '1') throw new Error(`${reason}, and REQUIRE_CLIENTS=1`);
  return reason;
}

export interface RunOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
}

/** Runs a client program to its end; its standard output. Throws with all it said when it fails. */
export function runClient(program: string, args: readonly string[], { env, cwd, input }: RunOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env, cwd, timeout: CLIENT_LIMIT_MS, maxBuffer: 64 * 2 ** 20 };
    const child = execFile(program, [...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${program} ${args.join(' ')}: ${error.message}\n${stdout}\n${stderr}`, { cause: error }));
    });
    child.stdin?.end(input ?? '');
  });
}

/** Bytes that look random and are the same each time. */
export function* noise(bytes: number, seed: number): Generator<Buffer> {
  const key = createHash('sha256').update(String(seed)).digest();
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(65_536);
  for (let left = bytes; left > 0; left -= zeros.length)
    yield stream.update(zeros.subarray(0, Math.min(left, zeros.length)));
}

export async function writeNoise(path: string, bytes: number, seed: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, noise(bytes, seed));
}

/** Names that have broken stores before, with sizes around what clients and servers treat differently. */
const TREE: Readonly<Record<string, number>> = {
  'plain.txt': 10,
  'empty.bin': 0,
  'space in name.txt': 1000,
  'plus+and&amp;.txt': 1001,
  'percent%41%2F.txt': 1002,
  'übergröße-日本-🏝.bin': 70_000,
  "quote'and(brackets)[1].txt": 5,
  'a/deep/er/path/file.dat': 65_536,
  'a/deep/er/path.txt': 65_537,
  'a/#hash?question.txt': 3,
  'a.b/looks.like.a.dir': 1,
  'large.bin': 9 * 2 ** 20 + 1,
};

/** Writes the tree; 100 more files make listings and parallel transfers worth their name. */
async function writeTree(dir: string): Promise<void> {
  let seed = 0;
  for (const [name, bytes] of Object.entries(TREE)) await writeNoise(join(dir, name), bytes, (seed += 1));
  for (let index = 0; index < 100; index += 1) await writeNoise(join(dir, 'many', `file-${index}.txt`), index, index);
}

export async function digestFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** SHA-256 by path below `dir`. */
export async function digestTree(dir: string): Promise<Readonly<Record<string, string>>> {
  const digests: Record<string, string> = {};
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const path of paths.sort()) digests[relative(dir, path)] = await digestFile(path);
  return digests;
}
