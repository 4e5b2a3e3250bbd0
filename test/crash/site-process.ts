/** A real site in a child process that a test may kill at any moment and start again on the same data. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

export const CREDENTIALS = { accessKeyId: 'CRASHKEY', secretKey: 'crashsecretcrashsecret' } as const;
const CLI = new URL('../../core/cli.ts', import.meta.url).pathname;

export interface SiteProcess {
  readonly port: number;
  readonly pid: number;
  /** Ends it as a power switch would; resolves when it is gone. */
  kill(): Promise<void>;
  /** Asks it to stop; resolves to its exit code. */
  stop(): Promise<number | null>;
}

export async function startSite(dataDir: string, bucket: string, extra: readonly string[] = []): Promise<SiteProcess> {
  const child = spawn(
    process.execPath,
    [CLI, 'serve', '--data-dir', dataDir, '--listen', '127.0.0.1:0', '--json', ...extra],
    {
      env: {
        ...process.env,
        SKERRY_ROOT_ACCESS_KEY: CREDENTIALS.accessKeyId,
        SKERRY_ROOT_SECRET_KEY: CREDENTIALS.secretKey,
        SKERRY_BUCKETS: bucket,
        SKERRY__log__level: 'error',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  return {
    port: await readyPort(child),
    pid: child.pid as number,
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    stop() {
      child.kill('SIGTERM');
      return exited;
    },
  };
}

async function readyPort(child: ChildProcess): Promise<number> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  for await (const line of lines) {
    const url = /http:\/\/[^"\s]*:(\d+)/.exec(line);
    if (line.includes('ready') && url) return Number(url[1]);
  }
  throw new Error('the site ended before it was ready');
}
