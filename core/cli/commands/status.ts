/** `skerry status`: how the site is. */
import type { SiteStatus } from '../../contracts/index.ts';
import { withAdmin } from '../admin-access.ts';
import { command, type MakeCommand } from '../command.ts';
import { bytes, facts, print, time } from '../terminal.ts';

export const statusCommand: MakeCommand = (terminal) =>
  command({
    command: 'status',
    describe: 'Show how the site is: running or not, addresses, what it holds',
    builder: (yargs) => yargs.example('$0 status --json', 'for a script: .running, .ready, .counters'),
    handler: async (options) => {
      const { status, running } = await withAdmin(terminal, options, async (admin, { running }) => ({
        status: await admin.status(),
        running,
      }));
      print(terminal, options, { json: { running, ...status }, text: statusText(status, running) });
    },
  });

function statusText(status: SiteStatus, running: boolean): string {
  const { counters, storage } = status;
  const { primary, writesRefused } = status;
  const readyTo = writesRefused === undefined ? 'ready' : `ready to read; writes are refused: ${writesRefused}`;
  const ready = status.ready ? readyTo : `not ready: ${status.reason ?? 'starting'}`;
  const state = running ? `running (process ${status.pid}), ${ready}` : 'not running';
  const free = storage.freeBytes === undefined ? '' : `, ${bytes(storage.freeBytes)} free on the volume`;
  return facts([
    ['site', status.site],
    ['state', state],
    ...(running ? ([['since', time(status.startedAtMs)]] as const) : []),
    ...(running ? ([['addresses', status.addresses.join(' ')]] as const) : []),
    ...(primary === undefined ? [] : ([['primary', primaryText(primary)]] as const)),
    ['data', status.dataDir],
    ['version', status.version],
    ['buckets', String(counters.buckets)],
    ['objects', `${counters.objects} (${bytes(counters.objectBytes)})`],
    ['digest', status.digest],
    ['open uploads', String(counters.uploads)],
    ['garbage collected', gcText(status.gc)],
    ['stored', `${bytes(storage.liveBytes)} live, ${bytes(storage.deadBytes)} to reclaim${free}`],
    ...(running ? ([['memory', bytes(status.memoryBytes)]] as const) : []),
    [
      'plugins',
      Object.entries(status.plugins)
        .map(([section, name]) => `${section}=${name}`)
        .join(' '),
    ],
  ]);
}

function primaryText({ site, epoch }: NonNullable<SiteStatus['primary']>): string {
  return epoch === 0 ? site : `${site}, since promotion ${epoch}`;
}

function gcText({ intervalMs, last, failure }: SiteStatus['gc']): string {
  const problem = failure === undefined ? '' : `; the last try failed: ${failure}`;
  if (last !== undefined) {
    const lost = last.plan.missing.count + last.plan.damaged.count;
    return `${time(last.startedAtMs)}${lost > 0 ? `, ${lost} things MISSING OR DAMAGED (skerry gc plan)` : ''}${problem}`;
  }
  return `not since the start${intervalMs === 0 ? ', and not by itself' : ''}${problem}`;
}
