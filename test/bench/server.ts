/** The site under load, as a child process, and what the kernel of the machine says about it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Credentials } from './signer.ts';

export interface BenchServer {
  readonly port: number;
  readonly credentials: Credentials;
  /** CPU seconds of all its threads so far. */
  cpuSeconds(): Promise<number>;
  /** Peak resident bytes since the last call. */
  peakBytes(): Promise<number>;
  stop(): Promise<void>;
}

const CREDENTIALS: Credentials = { accessKeyId: 'BENCHKEY', secretKey: 'benchsecretbenchsecret' };
const CLI = new URL('../../core/cli.ts', import.meta.url).pathname;
/** Linux counts CPU time in ticks of 10 ms. */
const TICKS_PER_SECOND = 100;

export async function startServer(bucket: string, nodeFlags: readonly string[] = []): Promise<BenchServer> {
  const dir = await mkdtemp(join(tmpdir(), 'skerry-bench-'));
  const child = spawn(
    process.execPath,
    [...nodeFlags, CLI, 'serve', '--data-dir', join(dir, 'data'), '--listen', '127.0.0.1:0', '--json'],
    {
      env: {
        ...process.env,
        SKERRY_ROOT_ACCESS_KEY: CREDENTIALS.accessKeyId,
        SKERRY_ROOT_SECRET_KEY: CREDENTIALS.secretKey,
        SKERRY_BUCKETS: bucket,
        SKERRY__log__level: 'warn',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const pid = child.pid as number;
  return {
    port: await readyPort(child),
    credentials: CREDENTIALS,
    async cpuSeconds() {
      const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /s, '').split(' ');
      return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    },
    async peakBytes() {
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      await writeFile(`/proc/${pid}/clear_refs`, '5');
      return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) * 1024;
    },
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function readyPort(child: ChildProcess): Promise<number> {
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const url = /http:\/\/[^"\s]*:(\d+)/.exec(line);
    if (line.includes('ready') && url) return Number(url[1]);
  }
  throw new Error('the server ended before it was ready');
}
