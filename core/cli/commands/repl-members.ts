/** `skerry repl-members`: who belongs to the cluster, and taking out who will not come back. */
import type { MemberInfo } from '../../contracts/index.ts';
import { withAdmin } from '../admin-access.ts';
import { command, group, type MakeCommand } from '../command.ts';
import { UsageError } from '../failure.ts';
import { print, table, time, type GlobalOptions } from '../terminal.ts';

export const replMembersCommand: MakeCommand = (terminal) =>
  group('repl-members', 'Sites that belong to the cluster: list them, remove one that is gone for good', [
    list(terminal),
    remove(terminal),
  ]);

const list: MakeCommand = (terminal) =>
  command({
    command: ['list', 'ls'],
    describe: 'Every incarnation of a site that is or was a member',
    builder: (yargs) => yargs.example('$0 repl-members list --json', 'for a script: .[].state, .[].lastReportMs'),
    handler: async (options) => {
      const members = await withAdmin(terminal, options, async (admin) => admin.listMembers());
      print(terminal, options, { json: members, text: membersText(members) });
    },
  });

function membersText(members: readonly MemberInfo[]): string {
  const rows = members.map((member) => [
    member.site,
    member.origin,
    stateText(member),
    member.joinedAtMs === undefined ? '' : time(member.joinedAtMs),
    member.lastReportMs === undefined ? '' : time(member.lastReportMs),
    String(member.ops),
  ]);
  return table(
    ['site', 'origin', 'state', 'joined', 'last report', 'ops'],
    rows,
    'no members: nothing replicates here',
  );
}

function stateText({ self, state, removedAtMs, removedBy }: MemberInfo): string {
  if (state === 'removed' && removedAtMs !== undefined) return `removed ${time(removedAtMs)} by ${removedBy ?? ''}`;
  return self ? `${state}, this site` : state;
}

interface RemoveOptions extends GlobalOptions {
  readonly member: string;
  readonly yes: boolean;
}

const remove: MakeCommand = (terminal) =>
  command<RemoveOptions>({
    command: ['remove <member>', 'rm'],
    describe: 'Go on without a site that will not come back',
    builder: (yargs) =>
      yargs
        .positional('member', {
          type: 'string',
          demandOption: true,
          describe: 'site id, or the origin of one incarnation',
        })
        .option('yes', { type: 'boolean', default: false, describe: 'it is gone for good: required' })
        .example('$0 repl-members remove ber --yes', 'on any other site; the rest hear of it')
        .epilogue(
          'What it wrote and no other site has is given up, and it is refused everywhere from then on. Cannot be undone: a site of that id joins again as a new incarnation.',
        ),
    handler: async (options) => {
      const { member, yes } = options;
      if (!yes)
        throw new UsageError(
          `what only ${member} has is given up for good`,
          `say --yes if ${member} will not come back; skerry repl-members list shows when it last reported`,
        );
      const removed = await withAdmin(terminal, options, async (admin) => admin.removeMember(member));
      print(terminal, options, { json: removed, text: removed.map(({ origin }) => `removed ${origin}`).join('\n') });
    },
  });
