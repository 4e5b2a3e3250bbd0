/** The real command in a child process. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../core/cli.ts', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Compiled once for all the processes of a test file: half of what a short command costs is compiling. */
const compileCache = mkdtempSync(join(tmpdir(), 'skerry-compiled-'));
process.once('exit', () => rmSync(compileCache, { recursive: true, force: true }));

interface Where {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The caller's own settings must not reach the command. */
function cleanEnv(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(SKERRY|AWS_|npm_|NODE_TEST)/i.test(name));
  return { ...Object.fromEntries(kept), NO_COLOR: '1', NODE_COMPILE_CACHE: compileCache, ...extra };
}

/** The command as it runs. */
export function start(args: readonly string[], { cwd, env }: Where): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, [CLI, ...args], { cwd, env: cleanEnv(env), stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Runs the command to its end. */
export async function skerry(args: readonly string[], where: Where): Promise<Ended> {
  const child = start(args, where);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}

/** Runs it with --json; it must succeed. */
export async function skerryJson<T>(args: readonly string[], where: Where): Promise<T> {
  const { code, stdout, stderr } = await skerry([...args, '--json'], where);
  assert.equal(code, 0, `skerry ${args.join(' ')}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** Runs it with --json; it must fail with this exit code. Answers the error. */
export async function skerryFails(
  args: readonly string[],
  where: Where,
  exitCode = 1,
): Promise<{ readonly code: string; readonly message: string; readonly hint?: string; readonly details?: object }> {
  const { code, stdout, stderr } = await skerry([...args, '--json'], where);
  assert.equal(code, exitCode, `skerry ${args.join(' ')}: ${stdout}${stderr}`);
  assert.equal(stdout, '');
  return JSON.parse(stderr) as { code: string; message: string };
}

export interface Serving {
  readonly pid: number;
  /** Everything that was printed so far. */
  stdout(): string;
  stderr(): string;
  /** URL of the S3 endpoint. */
  readonly url: string;
  /** Sends a signal; answers the exit code. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
  readonly exited: Promise<number | null>;
  /** Resolves once standard error matches. */
  saidOnStderr(pattern: RegExp): Promise<void>;
}

/** Runs `serve` on a free port until `end`. Resolves at the line that says ready. */
export function serve(where: Where, ...args: readonly string[]): Promise<Serving> {
  return serveAsConfigured(where, '--listen', '127.0.0.1:0', ...args);
}

/** The same on the port of its configuration. */
export async function serveAsConfigured(where: Where, ...args: readonly string[]): Promise<Serving> {
  const child = start(['serve', ...args], where);
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  let stdout = '';
  let stderr = '';
  const heard = new EventEmitter();
  child.stderr.on('data', (piece: Buffer) => {
    stderr += piece.toString();
    heard.emit('stderr');
  });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    stdout += `${line}\n`;
    const url = /\bready\b/.test(line) ? /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0] : undefined;
    if (url !== undefined) resolve(url);
  });
  void exited.then((code) => reject(new Error(`serve ended with ${code} before it was ready:\n${stderr}`)));
  return {
    url: await promise,
    pid: child.pid as number,
    stdout: () => stdout,
    stderr: () => stderr,
    exited,
    async saidOnStderr(pattern) {
      while (!pattern.test(stderr)) await once(heard, 'stderr');
    },
    async end(signal = 'SIGTERM') {
      child.kill(signal);
      return exited;
    },
  };
}

/** A directory that `remove` takes away again. */
export function scratch(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'skerry-cli-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
