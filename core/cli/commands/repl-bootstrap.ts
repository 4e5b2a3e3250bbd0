/** `skerry repl-bootstrap`: takes a snapshot of a peer in place of its ops, and tells how it goes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SkerryError, type AdminService } from '../../contracts/index.ts';
import { withAdmin } from '../admin-access.ts';
import { command, type MakeCommand } from '../command.ts';
import { print, type GlobalOptions, type Result, type Terminal } from '../terminal.ts';
import { bootstrapText } from './repl-status.ts';

interface BootstrapOptions extends GlobalOptions {
  readonly from?: string;
  readonly wait: boolean;
}

const POLL_MS = 500;

export const replBootstrapCommand: MakeCommand = (terminal) =>
  command<BootstrapOptions>({
    command: 'repl-bootstrap',
    describe: 'Take a snapshot of a peer in place of its ops (a site does so by itself where it has to)',
    builder: (yargs) =>
      yargs
        .option('from', {
          type: 'string',
          requiresArg: true,
          describe: 'site id of a configured peer; by default the one that has most',
        })
        .option('wait', {
          type: 'boolean',
          default: true,
          describe: 'until it is done; --no-wait ends once it has begun',
        })
        .example('$0 repl-bootstrap --from ber', 'where two sites wait for each other, at one of them'),
    handler: async (options) =>
      withAdmin(terminal, options, async (admin) => print(terminal, options, await follow(terminal, options, admin))),
  });

async function follow(
  terminal: Terminal,
  { from, wait, json }: BootstrapOptions,
  admin: AdminService,
): Promise<Result> {
  let now = await admin.bootstrapFrom(from);
  let shown = '';
  if (!wait) return { json: now, text: `snapshot ${bootstrapText(now)}` };
  while (now.state === 'running') {
    await sleep(POLL_MS);
    now = (await admin.replicationStatus()).bootstrap ?? now;
    const line = `snapshot ${bootstrapText(now)}`;
    if (!json && line !== shown) terminal.err(line);
    shown = line;
  }
  if (now.problem !== undefined)
    throw new SkerryError('Unavailable', `the snapshot of ${now.from} broke off and is tried again: ${now.problem}`, {
      details: { ...now },
    });
  return { json: now, text: `snapshot ${bootstrapText(now)}` };
}
