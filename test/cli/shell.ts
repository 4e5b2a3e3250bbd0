/** Shell lines from the pages and from the command's own output, run with the real clients. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';

/** Why a test that needs these programs is skipped; never when all must be there. */
export function withoutClients(...names: readonly string[]): string | false {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  const missing = names.filter((name) => !directories.some((directory) => existsSync(join(directory, name))));
  return missing.length > 0 && process.env['REQUIRE_CLIENTS'] !== '1' ? `not installed: ${missing.join(', ')}` : false;
}

/** Runs a script in bash with no settings of its user; answers what it printed on either stream. */
export async function shell(
  script: string,
  cwd: string,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const kept = Object.entries(process.env).filter(([name]) => !/^(AWS_|RCLONE_|SKERRY|NODE_TEST)/.test(name));
  const env = { ...Object.fromEntries(kept), HOME: cwd, NO_COLOR: '1' };
  const child = spawn('bash', ['-c', `exec 2>&1\n${script}`], { cwd, env, stdio: ['ignore', 'pipe', 'ignore'] });
  const exit = once(child, 'exit') as Promise<[number | null]>;
  const [output, [code]] = await Promise.all([text(child.stdout), exit]);
  return { code, output };
}
