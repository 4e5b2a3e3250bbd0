/** What only a person can vouch for: that a site wrote nothing since its backup was put back, that its clock is right. */
import { withAdmin } from '../admin-access.ts';
import { command, type MakeCommand } from '../command.ts';
import { UsageError } from '../failure.ts';
import { print, type GlobalOptions } from '../terminal.ts';

interface RecoverOptions extends GlobalOptions {
  readonly nothingWritten: boolean;
}

export const replRecoverCommand: MakeCommand = (terminal) =>
  command<RecoverOptions>({
    command: 'repl-recover',
    describe: 'Let a restored site go on that no peer can prove to be unchanged',
    builder: (yargs) =>
      yargs
        .option('nothing-written', {
          type: 'boolean',
          default: false,
          describe: 'nothing was written here since the backup was put back: required',
        })
        .example('$0 repl-recover --nothing-written', 'when repl-status says that no peer can prove it')
        .epilogue(
          'A restored site goes on by itself when a peer still has the op that it ended with. Peers that have trimmed it cannot tell whether something else was written here since. If something was, it is lost: copy it out first, reads go on.',
        ),
    handler: async (options) => {
      if (!options.nothingWritten)
        throw new UsageError(
          'what was written here since the backup was put back would be lost',
          'say --nothing-written if there is none; else copy it out with an S3 client first',
        );
      await withAdmin(terminal, options, async (admin) => admin.recover());
      print(terminal, options, { json: { recovering: true }, text: 'the site goes on as a new origin' });
    },
  });

export const replTrustClockCommand: MakeCommand = (terminal) =>
  command({
    command: 'repl-trust-clock',
    describe: 'Vouch for the clock of this machine after it jumped, so that writes are accepted again',
    builder: (yargs) =>
      yargs.epilogue(
        'A site whose wall clock jumped forward (a laptop that slept, a machine that was suspended) refuses writes until a peer whose clock agrees is in reach. Look at the clock before you vouch for it: stamps from the future win over what everybody else writes.',
      ),
    handler: async (options) => {
      await withAdmin(terminal, options, async (admin) => admin.trustClock());
      print(terminal, options, { json: { trusted: true }, text: 'the clock is trusted as it is now' });
    },
  });
