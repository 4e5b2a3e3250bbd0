/** `skerry repl-promote`: this site becomes the one that accepts writes. */
import { withAdmin } from '../admin-access.ts';
import { command, type MakeCommand } from '../command.ts';
import { print } from '../terminal.ts';

export const replPromoteCommand: MakeCommand = (terminal) =>
  command({
    command: 'repl-promote',
    describe: 'Make this site the primary of a primary-replica fleet',
    builder: (yargs) =>
      yargs
        .example('$0 repl-promote', 'on the replica that takes over')
        .epilogue(
          'What the old primary accepts before it learns of this loses to what is written here, whatever the clocks say, and is listed by repl-conflicts.',
        ),
    handler: async (options) => {
      const role = await withAdmin(terminal, options, async (admin) => admin.promote());
      print(terminal, options, { json: role, text: `${role.site} is the primary, epoch ${role.epoch}` });
    },
  });
