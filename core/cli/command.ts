/** What every command file is made of. */
import type { Argv, CommandModule } from 'yargs';
import type { GlobalOptions, Terminal } from './terminal.ts';

/** A command of the command line, given where it may print. */
export type MakeCommand = (terminal: Terminal) => CommandModule<GlobalOptions, GlobalOptions>;

/** A command with its own options. What `builder` declares and what `handler` takes is held together by the command's tests. */
interface CommandSpec<Own extends GlobalOptions> {
  readonly command: string | readonly string[];
  readonly describe: string;
  readonly builder: (yargs: Argv<GlobalOptions>) => unknown;
  readonly handler: (options: Own) => void | Promise<void>;
}

export function command<Own extends GlobalOptions = GlobalOptions>(
  spec: CommandSpec<Own>,
): CommandModule<GlobalOptions, GlobalOptions> {
  return spec as unknown as CommandModule<GlobalOptions, GlobalOptions>;
}

/** A command that only groups others: `skerry bucket`. */
export function group(
  name: string,
  describe: string,
  members: readonly CommandModule<GlobalOptions, GlobalOptions>[],
): CommandModule<GlobalOptions, GlobalOptions> {
  return command({
    command: name,
    describe,
    builder: (yargs) =>
      members
        .reduce((built, member) => built.command(member), yargs)
        .demandCommand(1, 1, `skerry ${name} needs a command; skerry ${name} --help lists them`)
        .recommendCommands(),
    handler: () => undefined,
  });
}
