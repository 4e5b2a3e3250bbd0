/** `skerry repl-pull` and `skerry repl-push`: one exchange with one peer, now; or again and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminService } from '../../contracts/index.ts';
import { withAdmin } from '../admin-access.ts';
import { command, type MakeCommand } from '../command.ts';
import { print, type GlobalOptions, type Result, type Terminal } from '../terminal.ts';

interface TransferOptions extends GlobalOptions {
  readonly peer: string;
  readonly watch: boolean;
  readonly interval: number;
}

interface Transfer {
  readonly name: string;
  readonly describe: string;
  readonly run: (admin: AdminService, peer: string) => Promise<Result>;
}

const pull: Transfer = {
  name: 'repl-pull',
  describe: 'Take everything that a peer has now',
  async run(admin, peer) {
    const json = await admin.pullFrom(peer);
    const pending = json.pendingVersions === 0 ? '' : `; bytes of ${json.pendingVersions} versions are still missing`;
    return { json, text: `${json.applied} ops applied${pending}` };
  },
};

const push: Transfer = {
  name: 'repl-push',
  describe: 'Bring a peer everything that it lacks now',
  async run(admin, peer) {
    const json = await admin.pushTo(peer);
    return { json, text: `${json.pushed} ops pushed` };
  },
};

const transfer =
  ({ name, describe, run }: Transfer): MakeCommand =>
  (terminal) =>
    command<TransferOptions>({
      command: `${name} <peer>`,
      describe: `${describe} (the site does so by itself while it runs)`,
      builder: (yargs) =>
        yargs
          .positional('peer', { type: 'string', demandOption: true, describe: 'site id of a configured peer' })
          .option('once', { type: 'boolean', default: true, describe: 'one exchange, then end' })
          .option('watch', { type: 'boolean', default: false, describe: 'again and again, until interrupted' })
          .option('interval', {
            type: 'number',
            requiresArg: true,
            default: 5,
            describe: 'seconds between, with --watch',
          })
          .example(`$0 ${name} ber`, 'with the peer ber, now'),
      handler: (options) => exchange(terminal, options, run),
    });

async function exchange(terminal: Terminal, options: TransferOptions, run: Transfer['run']): Promise<void> {
  do {
    const result = await withAdmin(terminal, options, async (admin) => run(admin, options.peer));
    print(terminal, options, result);
    if (options.watch) await sleep(options.interval * 1000);
  } while (options.watch);
}

export const replPullCommand: MakeCommand = transfer(pull);
export const replPushCommand: MakeCommand = transfer(push);
