#!/usr/bin/env node
/** The `skerry` command: hands the process to core/cli. */
import { readFileSync } from 'node:fs';
import { ensureNodeFlags } from './cli/node-flags.ts';

// Before anything else is loaded: what is would be loaded twice.
ensureNodeFlags(process);
const { main } = await import('./cli/main.ts');

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  readonly version: string;
};

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.exitCode = await main(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  version,
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
  progress: process.stderr.isTTY ? (text) => void process.stderr.write(`\r\u001b[K${text}`) : undefined,
});
