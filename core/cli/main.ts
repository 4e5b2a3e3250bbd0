/** The command line: parses, calls, prints, and answers the exit code. */
import yargs, { type Argv } from 'yargs';
import { bucketCommand } from './commands/bucket.ts';
import { configCommand } from './commands/config.ts';
import { demoCommand } from './commands/demo.ts';
import { gcCommand } from './commands/gc.ts';
import { initCommand } from './commands/init.ts';
import { keyCommand } from './commands/key.ts';
import { pluginsCommand } from './commands/plugins.ts';
import { rebuildIndexCommand } from './commands/rebuild-index.ts';
import { replConflictsCommand } from './commands/repl-conflicts.ts';
import { replMembersCommand } from './commands/repl-members.ts';
import { replQuarantineCommand } from './commands/repl-quarantine.ts';
import { replRecoverCommand, replTrustClockCommand } from './commands/repl-recover.ts';
import { replPromoteCommand } from './commands/repl-promote.ts';
import { replBootstrapCommand } from './commands/repl-bootstrap.ts';
import { replPullCommand, replPushCommand } from './commands/repl-transfer.ts';
import { replStatusCommand } from './commands/repl-status.ts';
import { replValidateCommand } from './commands/repl-validate.ts';
import { serveCommand } from './commands/serve.ts';
import { statusCommand } from './commands/status.ts';
import type { MakeCommand } from './command.ts';
import { EXIT, report, UsageError, type ExitCode } from './failure.ts';
import type { GlobalOptions, Terminal } from './terminal.ts';

const COMMANDS: readonly MakeCommand[] = [
  serveCommand,
  demoCommand,
  initCommand,
  configCommand,
  pluginsCommand,
  bucketCommand,
  keyCommand,
  statusCommand,
  rebuildIndexCommand,
  gcCommand,
  replStatusCommand,
  replValidateCommand,
  replPullCommand,
  replBootstrapCommand,
  replPushCommand,
  replConflictsCommand,
  replPromoteCommand,
  replQuarantineCommand,
  replTrustClockCommand,
  replRecoverCommand,
  replMembersCommand,
];

/** Commands that have commands of their own. */
export const GROUPS: ReadonlySet<string> = new Set([
  'config',
  'plugins',
  'bucket',
  'key',
  'gc',
  'repl-conflicts',
  'repl-quarantine',
  'repl-members',
]);

const WIDTH_MAX = 110;

export async function main(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const json = args.includes('--json');
  try {
    await parser(args, terminal).parseAsync();
    return EXIT.ok;
  } catch (error) {
    return report(error, json, terminal);
  }
}

function parser(args: readonly string[], terminal: Terminal): Argv<GlobalOptions> {
  const base = yargs([...args], terminal.cwd)
    .scriptName('skerry')
    .locale('en')
    .usage('$0 <command>\n\nAn S3-compatible object store made of sites that each keep working alone.')
    .option('json', { type: 'boolean', default: false, describe: 'print JSON; errors as JSON on standard error' })
    .option('config', {
      alias: 'c',
      type: 'string',
      requiresArg: true,
      default: terminal.env['SKERRY_CONFIG'],
      defaultDescription: '$SKERRY_CONFIG, or none',
      describe: 'configuration file (YAML or JSON)',
    })
    .option('data-dir', { type: 'string', requiresArg: true, describe: 'where the site keeps everything' });
  return COMMANDS.reduce((built, make) => built.command(make(terminal)), base as unknown as Argv<GlobalOptions>)
    .completion('completion', 'Print a completion script for bash or zsh')
    .example('$0 serve', 'a site in ./data, S3 on http://127.0.0.1:9000')
    .example('$0 key create --policy ro', 'an access key that only reads')
    .epilogue(
      'Settings come from the file, then SKERRY_* variables, then flags. Exit codes: 0 done, 1 failed, 2 wrong usage.',
    )
    .demandCommand(1, 1, 'which command?')
    .strict()
    .recommendCommands()
    .wrap(WIDTH_MAX)
    .version(terminal.version)
    .help()
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      throw error === undefined || error.name === 'YError' ? usage(message ?? error?.message ?? '', args) : error;
    });
}

function helpHint([first, second]: readonly string[]): string | undefined {
  if (first === undefined) return undefined;
  const name = second !== undefined && GROUPS.has(first) ? `${first} ${second}` : first;
  return `skerry ${name} --help shows how`;
}

/** yargs answers a misspelt command with its suggestion alone. */
function usage(message: string, args: readonly string[]): UsageError {
  const suggestion = /^Did you mean (.+)\?$/.exec(message)?.[1];
  const words = args.filter((word) => !word.startsWith('-'));
  if (suggestion === undefined) return new UsageError(message, helpHint(words));
  return new UsageError(`unknown command: ${words.join(' ')}`, `did you mean ${suggestion}?`);
}
