/** `skerry repl-quarantine`: ops that are held back, and letting them in. */
import type { Quarantined } from '../../contracts/index.ts';
import { withAdmin } from '../admin-access.ts';
import { command, group, type MakeCommand } from '../command.ts';
import { UsageError } from '../failure.ts';
import { print, table, time, type GlobalOptions } from '../terminal.ts';

export const replQuarantineCommand: MakeCommand = (terminal) =>
  group('repl-quarantine', 'Ops of other sites that are held back: list them, let them in', [
    list(terminal),
    release(terminal),
  ]);

const list: MakeCommand = (terminal) =>
  command({
    command: ['list', 'ls'],
    describe: 'Origins whose ops wait outside, and why',
    builder: (yargs) => yargs.example('$0 repl-quarantine list --json', 'for a script: .[].origin, .[].reason'),
    handler: async (options) => {
      const { quarantine } = await withAdmin(terminal, options, async (admin) => admin.replicationStatus());
      const rows = quarantine.map(heldRow);
      const text = table(['origin', 'reason', 'first op', 'since', 'tried again'], rows, 'nothing is held back');
      print(terminal, options, { json: quarantine, text });
    },
  });

const REASONS: Readonly<Record<Quarantined['reason'], string>> = {
  clock: 'stamped ahead of our clock',
  behind: 'comes after one that is held',
  refused: 'cannot be applied here',
};

function heldRow({ origin, reason, stamp, sinceMs, retryAtMs }: Quarantined): readonly string[] {
  return [origin, REASONS[reason], stamp, time(sinceMs), time(retryAtMs)];
}

interface ReleaseOptions extends GlobalOptions {
  readonly origin: string;
  readonly clocksGoAhead: boolean;
}

const release: MakeCommand = (terminal) =>
  command<ReleaseOptions>({
    command: 'release <origin>',
    describe: 'Let in what is held back of an origin',
    builder: (yargs) =>
      yargs
        .positional('origin', { type: 'string', demandOption: true, describe: 'as repl-quarantine list shows it' })
        .option('clocks-go-ahead', {
          type: 'boolean',
          default: false,
          describe: 'our clock goes as far ahead as those ops are: required',
        })
        .example('$0 repl-quarantine release ber.0123456789abcdef --clocks-go-ahead', 'at every site that holds them')
        .epilogue(
          'Ops stamped in the future are let in by themselves when that time has come. Letting them in now moves the logical clock of this site there: whatever is written from then on, here and where it arrives, is stamped as far ahead, and other sites hold it back until they let it in too. First set the clock of the site right that wrote them.',
        ),
    handler: async (options) => {
      const { origin, clocksGoAhead } = options;
      if (!clocksGoAhead)
        throw new UsageError(
          'letting these ops in moves the logical clock of this site as far ahead as they are, for good',
          'say --clocks-go-ahead if that is meant; skerry repl-quarantine release --help explains it',
        );
      const released = await withAdmin(terminal, options, async (admin) => admin.releaseQuarantined(origin));
      print(terminal, options, { json: released, text: `ops of ${origin} are let in with the next exchange` });
    },
  });
