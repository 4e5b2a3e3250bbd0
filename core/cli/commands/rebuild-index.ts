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

function reportText({ ops, chunks, damage, gaps, missing, freed }: RebuildReport): string {
  const losses = [
    ...damage.map((sentence) => `damaged record ${sentence}`),
    ...gaps.map((dot) => `op ${dot} was left out: ops before it are lost`),
    ...missing.map((hash) => `chunk ${hash} is not there`),
  ];
  const found = facts([
    ['operations', String(ops)],
    ['chunks', String(chunks)],
    ['records given back', String(freed)],
    ['lost', losses.length === 0 ? 'nothing that is known of' : `${losses.length}, see below`],
  ]);
  return [found, ...losses].join('\n');
}
