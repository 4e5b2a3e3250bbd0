/** `npm run check`: every static check, all of them even when one fails, each with its time; exit code 1 when any failed. */
import { spawn } from 'node:child_process';

const CHECKS = ['lint', 'format:check', 'typecheck', 'dead-code', 'imports', 'tidy'];

interface Outcome {
  readonly ok: boolean;
  readonly text: string;
}

function runScript(name: string): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const child = spawn('npm', ['run', '--silent', name], { stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.on('error', (error) => resolve({ ok: false, text: error.message }));
  child.on('close', (code) => resolve({ ok: code === 0, text: Buffer.concat(chunks).toString() }));
  return promise;
}

const failed: string[] = [];
for (const name of CHECKS) {
  const startedAt = Date.now();
  const { ok, text } = await runScript(name);
  if (!ok) failed.push(name);
  if (!ok) console.log(text.trimEnd());
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name} (${((Date.now() - startedAt) / 1000).toFixed(1)} s)`);
}
if (failed.length > 0) {
  console.log(`failed: ${failed.join(', ')}`);
  process.exitCode = 1;
}
