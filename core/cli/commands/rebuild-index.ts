/** `skerry rebuild-index`: a site whose meta-store is lost, from its chunk-store. */
import type { RebuildReport } from '../../engine/rebuild.ts';
import { requireSite } from '../admin-access.ts';
import { command, type MakeCommand } from '../command.ts';
import { loadSettings } from '../settings.ts';
import { facts, print } from '../terminal.ts';

export const rebuildIndexCommand: MakeCommand = (terminal) =>
  command({
    command: 'rebuild-index',
    describe: 'Rebuild a lost meta-store from the chunk-store of a site that is not running',
    builder: (yargs) => yargs.example('$0 rebuild-index', 'after data/meta-sqlite was moved away'),
    handler: async (options) => {
      const loaded = await loadSettings(terminal, { ...options, set: ['log.level=silent'] });
      await requireSite(loaded.config.dataDir);
      const { rebuildSite } = await import('../../kernel/rebuild.ts');
      const report = await rebuildSite(loaded);
      print(terminal, options, { json: report, text: reportText(report) });
    },
  });

function reportText({ ops, chunks, damage, gaps, unlogged, early, missing, freed }: RebuildReport): string {
  const losses = [
    ...damage.map((sentence) => `damaged record ${sentence}`),
    ...Object.entries(unlogged).map(
      ([origin, seq]) => `ops of ${origin} up to ${seq} came with a snapshot: peers have them`,
    ),
    ...gaps.map(
      ({ origin, from, to }) => `ops ${from} to ${to} of ${origin} were left out: ops before them are not here`,
    ),
    ...missing.map((hash) => `chunk ${hash} is not there`),
  ];
  const found = facts([
    ['operations', String(ops)],
    ['chunks', String(chunks)],
    ['records given back', String(freed)],
    ...(early === 0
      ? []
      : [['waiting', `${early} operations take effect when peers have brought what they change`] as const]),
    ['lost', losses.length === 0 ? 'nothing that is known of' : `${losses.length}, see below`],
  ]);
  return [found, ...losses].join('\n');
}
