/** `skerry repl-conflicts`: writes that had not seen each other: list them, show both sides, choose. */
import type { AdminService, ConflictedKey, ConflictSide, ResolvedConflict } from '../../contracts/index.ts';
import { withAdmin } from '../admin-access.ts';
import { command, group, type MakeCommand } from '../command.ts';
import { bytes, print, table, time, type GlobalOptions } from '../terminal.ts';

const PAGE = 1000;

export const replConflictsCommand: MakeCommand = (terminal) =>
  group('repl-conflicts', 'Writes that had not seen each other: list, show, resolve', [
    list(terminal),
    show(terminal),
    resolve(terminal),
  ]);

interface ListOptions extends GlobalOptions {
  readonly bucket?: string;
  readonly prefix?: string;
  readonly limit: number;
}

const list: MakeCommand = (terminal) =>
  command<ListOptions>({
    command: ['list [bucket]', 'ls [bucket]'],
    describe: 'Keys in conflict, of one bucket or of all',
    builder: (yargs) =>
      yargs
        .positional('bucket', { type: 'string' })
        .option('prefix', { type: 'string', requiresArg: true, describe: 'only keys that begin with it' })
        .option('limit', { type: 'number', requiresArg: true, default: PAGE, describe: 'keys at most, of all buckets' })
        .example('$0 repl-conflicts list photos', 'what is open in one bucket'),
    handler: async (options) => {
      const found = await withAdmin(terminal, options, async (admin) => collect(admin, options));
      const more = found.truncated ? `\nmore than ${options.limit}: raise --limit, or name a bucket or a --prefix` : '';
      print(terminal, options, { json: found.conflicts, text: listText(found.conflicts) + more });
    },
  });

interface Found {
  readonly conflicts: readonly ConflictedKey[];
  readonly truncated: boolean;
}

async function collect(admin: AdminService, { bucket, prefix, limit }: ListOptions): Promise<Found> {
  const buckets = bucket === undefined ? Object.keys(await admin.conflictCounts()).toSorted() : [bucket];
  const conflicts: ConflictedKey[] = [];
  for (const name of buckets) {
    let after: string | undefined;
    do {
      const room = limit - conflicts.length;
      if (room <= 0) return { conflicts, truncated: true };
      const page = await admin.listConflicts({
        bucket: name,
        limit: Math.min(PAGE, room),
        ...(prefix === undefined ? {} : { prefix }),
        ...(after === undefined ? {} : { after }),
      });
      conflicts.push(...page.entries);
      after = page.next;
    } while (after !== undefined);
  }
  return { conflicts, truncated: false };
}

function listText(conflicts: readonly ConflictedKey[]): string {
  const rows = conflicts.map(({ bucket, key, winner, losers }) => [
    bucket,
    key,
    `${winner.site} ${time(winner.writtenAtMs)}`,
    losers.map(({ site, writtenAtMs }) => `${site} ${time(writtenAtMs)}`).join(', '),
  ]);
  return table(['bucket', 'key', 'current', 'lost'], rows, 'no conflicts');
}

interface KeyOptions extends GlobalOptions {
  readonly bucket: string;
  readonly key: string;
}

const show: MakeCommand = (terminal) =>
  command<KeyOptions>({
    command: 'show <bucket> <key>',
    describe: 'All sides of one conflict, with the version ids that open them',
    builder: (yargs) =>
      yargs
        .positional('bucket', { type: 'string', demandOption: true })
        .positional('key', { type: 'string', demandOption: true })
        .example('$0 repl-conflicts show photos cat.jpg', 'who wrote what, and when'),
    handler: async (options) => {
      const { bucket, key } = options;
      const conflict = await withAdmin(terminal, options, async (admin) => admin.getConflict(bucket, key));
      print(terminal, options, { json: conflict, text: sidesText(conflict) });
    },
  });

function sidesText({ winner, losers, shownAs }: ConflictedKey): string {
  const row = (role: string, side: ConflictSide): readonly string[] => [
    role,
    side.versionId,
    side.site,
    time(side.writtenAtMs),
    side.pending ? `${side.kind}, bytes pending` : side.kind,
    side.size === undefined ? '' : bytes(side.size),
    side.etag ?? '',
  ];
  const rows = [row('current', winner), ...losers.map((loser) => row(shownAs, loser))];
  return table(['role', 'version', 'site', 'written', 'what', 'size', 'etag'], rows, '');
}

interface ResolveOptions extends KeyOptions {
  readonly choose: string;
}

const resolve: MakeCommand = (terminal) =>
  command<ResolveOptions>({
    command: 'resolve <bucket> <key>',
    describe: 'End a conflict, on every site',
    builder: (yargs) =>
      yargs
        .positional('bucket', { type: 'string', demandOption: true })
        .positional('key', { type: 'string', demandOption: true })
        .option('choose', {
          type: 'string',
          requiresArg: true,
          demandOption: true,
          describe: 'current, all (keep every side), or the version id of the side to keep',
        })
        .example('$0 repl-conflicts resolve photos cat.jpg --choose all', 'lose nothing'),
    handler: async (options) => {
      const { bucket, key, choose } = options;
      const resolved = await withAdmin(terminal, options, async (admin) => admin.resolveConflict(bucket, key, choose));
      print(terminal, options, { json: resolved, text: resolvedText(resolved) });
    },
  });

function resolvedText({ ended, kept }: ResolvedConflict): string {
  const lines = kept.map(
    ({ key, versionId }) => `kept as ${key}${versionId === 'null' ? '' : ` version ${versionId}`}`,
  );
  return [`resolved: ${ended} ${ended === 1 ? 'version' : 'versions'} no longer in conflict`, ...lines].join('\n');
}
