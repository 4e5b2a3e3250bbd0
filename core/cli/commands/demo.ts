/** `skerry demo`: three sites on one machine, a broken network, a conflict, agreement; then they are left running. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SkerryError } from '../../contracts/index.ts';
import { command, type MakeCommand } from '../command.ts';
import type { Fleet } from '../demo/fleet.ts';
import type { Ending } from '../demo/story.ts';
import type { GlobalOptions, Terminal } from '../terminal.ts';

interface DemoOptions extends GlobalOptions {
  readonly once: boolean;
  readonly wait: number;
}

/** For those who read along on a terminal. */
const PAUSE_MS = 1500;
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

export const demoCommand: MakeCommand = (terminal) =>
  command<DemoOptions>({
    command: 'demo',
    describe: 'Watch three sites on this machine through a broken network, then use them',
    builder: (yargs) =>
      yargs
        .option('once', { type: 'boolean', default: false, describe: 'end after the story' })
        .option('wait', {
          type: 'number',
          requiresArg: true,
          default: 30,
          describe: 'seconds that the sites may take to become equal, each time',
        })
        .example('$0 demo', 'the story, then three sites to try until Ctrl-C')
        .epilogue('Everything is kept in a temporary directory, and removed at the end.'),
    handler: (options) => demo(terminal, options),
  });

async function demo(terminal: Terminal, options: DemoOptions): Promise<void> {
  const interrupt = new AbortController();
  const onSignal = (): void => interrupt.abort(new SkerryError('Aborted', 'interrupted'));
  for (const signal of SIGNALS) process.on(signal, onSignal);
  const directory = await mkdtemp(join(tmpdir(), 'skerry-demo-'));
  try {
    await runIn(directory, terminal, options, interrupt.signal);
  } finally {
    await rm(directory, { recursive: true, force: true });
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

async function runIn(directory: string, terminal: Terminal, options: DemoOptions, signal: AbortSignal): Promise<void> {
  const say = options.json ? () => undefined : (text: string) => terminal.out(text);
  const progress = options.json ? undefined : terminal.progress;
  const pauseMs = progress === undefined ? 0 : PAUSE_MS;
  // Only here: other commands need not wait for the whole store to load.
  const [{ Fleet }, { SITES, tell }] = await Promise.all([import('../demo/fleet.ts'), import('../demo/story.ts')]);
  say('Three sites start on this machine: each with a database, bytes and an S3 endpoint of its own.');
  const fleet = await Fleet.start(SITES, directory);
  try {
    const ending = await tell({ fleet, say, progress, pauseMs, waitMs: options.wait * 1000, signal });
    if (options.json) terminal.out(JSON.stringify(summary(fleet, ending, options)));
    if (options.once) return;
    say(invitation(fleet, directory));
    await aborted(signal);
    say('Stopping.');
  } finally {
    await fleet.close();
  }
}

function summary({ sites, credentials }: Fleet, ending: Ending, { once }: DemoOptions): object {
  const running = sites.map(({ name, s3Url, dataDir }) => ({ site: name, url: s3Url, dataDir }));
  return { event: once ? 'converged' : 'ready', ...ending, ...(once ? {} : { sites: running, ...credentials }) };
}

/** What to try, ready to paste into another terminal. */
function invitation({ sites, credentials }: Fleet, directory: string): string {
  const [first, second] = sites;
  return [
    '\n4. They go on running. In another terminal:',
    `   export AWS_ACCESS_KEY_ID=${credentials.accessKeyId} AWS_SECRET_ACCESS_KEY=${credentials.secretKey} AWS_REGION=us-east-1`,
    ...sites.map(({ name, s3Url }) => `   ${name.toUpperCase()}=${s3Url}`),
    '   echo hello > hello.txt',
    `   aws --endpoint-url $${first?.name.toUpperCase()} s3 cp hello.txt s3://demo/hello.txt`,
    `   aws --endpoint-url $${second?.name.toUpperCase()} s3 ls s3://demo/`,
    `   skerry repl-status --data-dir ${first?.dataDir}`,
    `   skerry repl-conflicts show demo menu.txt --data-dir ${first?.dataDir}`,
    `Ctrl-C ends them and removes ${directory}.`,
  ].join('\n');
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}
