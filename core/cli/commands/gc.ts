/** `skerry gc`: what takes space and is needed by nobody, and giving it back. */
import type { GarbageFound, GcPlan, GcReport, LostBytes, LostFound, SpaceAmount } from '../../contracts/index.ts';
import { withAdmin } from '../admin-access.ts';
import { command, group, type MakeCommand } from '../command.ts';
import { bytes, facts, print, type GlobalOptions } from '../terminal.ts';

export const gcCommand: MakeCommand = (terminal) =>
  group('gc', 'Garbage collection: what would go and why, and give it back', [plan(terminal), run(terminal)]);

const plan: MakeCommand = (terminal) =>
  command({
    command: 'plan',
    describe: 'Show what would go and why, and what is missing or damaged; changes nothing',
    builder: (yargs) => yargs.example('$0 gc plan --json', 'for a script: .garbage, .missing.count, .damaged.count'),
    handler: async (options) => {
      const found = await withAdmin(terminal, options, async (admin) => admin.gcPlan());
      print(terminal, options, { json: found, text: planText(found) });
    },
  });

interface RunOptions extends GlobalOptions {
  readonly despiteLosses: boolean;
}

const run: MakeCommand = (terminal) =>
  command<RunOptions>({
    command: 'run',
    describe: 'Give space back that nobody needs; safe while the site serves, and to be stopped',
    builder: (yargs) =>
      yargs
        .option('despite-losses', {
          type: 'boolean',
          default: false,
          describe: 'give back what no row names although the index was rebuilt with losses',
        })
        .example('$0 gc run', 'a site does this once a day by itself'),
    handler: async (options) => {
      const { despiteLosses } = options;
      const report = await withAdmin(terminal, options, async (admin) => admin.gcRun({ despiteLosses }));
      print(terminal, options, { json: report, text: runText(report) });
    },
  });

const amount = ({ records, bytes: length }: SpaceAmount): string => `${records} records, ${bytes(length)}`;
const stored = ({ liveBytes, deadBytes }: GcPlan['storage']): string =>
  `${bytes(liveBytes + deadBytes)} (${bytes(liveBytes)} live, ${bytes(deadBytes)} freed and not given back)`;

function planText(found: GcPlan): string {
  const { storage, live, ops, inFlight, garbage, kept } = found;
  return [
    facts([
      ['stored', stored(storage)],
      ['live', amount(live)],
      ['log of ops', amount(ops)],
      ['being written', amount(inFlight)],
      ['WOULD GO', ''],
      ['no row names them', garbageText(garbage.orphans)],
      ['nothing holds them', garbageText(garbage.unreferenced)],
      ['conflicts past their time', `${garbage.conflictLosers} versions`],
      ['freed among live ones', bytes(garbage.deadBytes)],
      ['STAYS', ''],
      ['parts of open uploads', amount(kept.uploadParts)],
      ['lost a conflict', `${kept.conflictLosers} versions`],
      ['removed, a lock may come', `${kept.removedVersions} versions`],
      ['on their way from peers', `${kept.pendingVersions} versions`],
    ]),
    ...(kept.uploadParts.records > 0
      ? ['Uploads stay until they are completed or aborted: a lifecycle rule can abort old ones.']
      : []),
    ...problems(found),
  ].join('\n');
}

function garbageText({ records, bytes: length, samples }: GarbageFound): string {
  const [first] = samples;
  return first === undefined ? 'none' : `${amount({ records, bytes: length })}, such as ${first}`;
}

function problems({ missing, damaged, strays, blocked }: GcPlan): readonly string[] {
  return [
    ...lostText('MISSING', missing),
    ...lostText('DAMAGED', damaged),
    ...strays.map((stray) => `DAMAGED, and no row names it: ${stray}`),
    ...(blocked === undefined ? [] : [`Records that no row names are not given back: ${blocked}.`]),
  ];
}

const lostText = (what: string, { count, samples }: LostFound): readonly string[] => [
  ...samples.map((one) => `${what}: ${lostName(one)} (${one.reason})`),
  ...(count > samples.length ? [`${what}: ${count - samples.length} more`] : []),
];

const lostName = ({ bucket, key, stamp, hash }: LostBytes): string =>
  bucket === undefined ? `chunk ${hash}` : `${bucket}/${key}, version of ${stamp}`;

function runText({ plan: found, freed, moved, before, after, tookMs }: GcReport): string {
  return [
    facts([
      ['before', stored(before)],
      ['after', stored(after)],
      ['no row named them', amount(freed.orphans)],
      ['nothing held them', `${freed.chunks} chunks`],
      ['conflicts past their time', `${freed.conflictLosers} versions`],
      ['removals that all know of', String(freed.tombstones)],
      ['moved together', amount(moved)],
      ['took', `${(tookMs / 1000).toFixed(1)} s`],
    ]),
    ...problems(found),
  ].join('\n');
}
