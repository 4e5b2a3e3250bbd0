/** `skerry repl-validate`: is this site what its ops made of it, and the same as its peers? */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  SkerryError,
  type AdminService,
  type BytesValidation,
  type PeerValidation,
  type ValidatedEntity,
  type ValidationDifference,
  type ValidationProgress,
  type ValidationReport,
} from '../../contracts/index.ts';
import { withAdmin } from '../admin-access.ts';
import { command, type MakeCommand } from '../command.ts';
import { bytes, facts, print, type GlobalOptions, type Terminal } from '../terminal.ts';

interface ValidateOptions extends GlobalOptions {
  readonly peer?: readonly string[];
  readonly repair: boolean;
  readonly deep: boolean;
}

const POLL_MS = 300;
/** Differences that people are shown; programs get all that were listed. */
const SHOWN_MAX = 20;

export const replValidateCommand: MakeCommand = (terminal) =>
  command<ValidateOptions>({
    command: 'repl-validate',
    describe: 'Compare this site with its peers and with its own digest; exit code 1 when something differs',
    builder: (yargs) =>
      yargs
        .option('peer', {
          type: 'string',
          array: true,
          requiresArg: true,
          describe: 'site id of a peer to compare with (default: all that are configured)',
        })
        .option('repair', { type: 'boolean', default: false, describe: 'put right here what is wrong here' })
        .option('deep', { type: 'boolean', default: false, describe: 'read every stored byte and check its hash' })
        .example('$0 repl-validate', 'reads the whole state, not the bytes')
        .example('$0 repl-validate --deep --repair', 'fetches damaged and missing bytes from peers'),
    handler: async (options) => {
      const report = await withAdmin(terminal, options, (admin) => check(terminal, admin, options));
      print(terminal, options, { json: report, text: reportText(report) });
      if (!report.isSound) throw unsound(report, options);
    },
  });

async function check(terminal: Terminal, admin: AdminService, options: ValidateOptions): Promise<ValidationReport> {
  const { peer, repair, deep } = options;
  await admin.startValidation({ repair, deep, ...(peer === undefined ? {} : { peers: peer }) });
  for (;;) {
    const { running, progress, report, error } = await admin.validation();
    terminal.progress?.(running ? progressText(progress) : '');
    if (!running && error) throw new SkerryError('Unavailable', error.message, { details: { code: error.code } });
    if (!running && report) return report;
    if (!running) throw new SkerryError('Unavailable', 'the site was started anew, and its check is gone: ask again');
    await sleep(POLL_MS);
  }
}

function progressText({ stage, done, bytes: length, peer }: ValidationProgress): string {
  switch (stage) {
    case 'idle':
      return '';
    case 'counting':
      return `counting the state: ${done} entities`;
    case 'comparing':
      return `comparing with ${peer}`;
    case 'repairing':
      return `taking from ${peer} what is wrong here: ${done} done`;
    case 'reading':
      return `reading bytes: ${done} chunks, ${bytes(length ?? 0)}`;
  }
}

function reportText(report: ValidationReport): string {
  const { local, peers, bytes: read, isSound, tookMs } = report;
  return [
    facts([
      ['site', report.site],
      ['entities', String(local.entities)],
      ['digest', adds(local.damagedDigestLeaves, 'leaves do not add up', local.repaired)],
      [
        'counters',
        adds(local.wrongCounters.length, `buckets are miscounted: ${local.wrongCounters.join(' ')}`, local.repaired),
      ],
      ...peers.map((peer) => [peer.peer, peerText(peer)] as const),
      ...(read ? [['bytes', bytesText(read)] as const] : []),
      ['took', `${(tookMs / 1000).toFixed(1)} s`],
    ]),
    ...peers.flatMap(differencesText),
    ...(read?.bad ?? []).slice(0, SHOWN_MAX).map(badText),
    isSound ? 'All is well.' : 'NOT all is well.',
  ].join('\n');
}

const adds = (count: number, what: string, isRepaired: boolean): string =>
  count === 0 ? 'right' : `${count} ${what}${isRepaired ? ' (put right)' : ''}`;

function peerText(peer: PeerValidation): string {
  const { outcome, opsBehind = 0, opsAhead = 0, differenceCount, repairedCount, damagedDigestLeaves } = peer;
  switch (outcome) {
    case 'equal':
      return repairedCount === 0 ? 'equal' : `equal, after ${repairedCount} differences were put right`;
    case 'busy':
      return `cannot be told: ${opsBehind} ops are on their way here, ${opsAhead} there`;
    case 'failed':
      return `could not be asked: ${peer.error ?? 'for no reason given'}`;
    case 'different': {
      const digest = damagedDigestLeaves === 0 ? '' : `; its own digest is off in ${damagedDigestLeaves} leaves`;
      return `${differenceCount} differences, ${repairedCount} put right${digest}`;
    }
  }
}

function differencesText({ peer, differences, differenceCount }: PeerValidation): readonly string[] {
  const shown = differences.slice(0, SHOWN_MAX);
  const rest = differenceCount - shown.length;
  return [
    ...shown.map(
      (one) => `${peer}: ${entityText(one.entity)}: ${whoHas(one, peer)}${one.repaired ? ' (put right)' : ''}`,
    ),
    ...(rest > 0 ? [`${peer}: ${rest} more`] : []),
  ];
}

function entityText(entity: ValidatedEntity): string {
  switch (entity.kind) {
    case 'version':
      return `${entity.bucket}/${entity.key} version ${entity.stamp}`;
    case 'bucket':
      return `bucket ${entity.bucket}`;
    case 'register':
      return `${entity.of} ${entity.id}`;
  }
}

function whoHas({ has }: ValidationDifference, peer: string): string {
  if (has === 'both') return 'not the same at both';
  return has === 'ours' ? `${peer} lacks it` : 'this site lacks it';
}

function bytesText({ chunks, bytes: length, badCount, repairedCount, unheld }: BytesValidation): string {
  const bad = badCount === 0 ? 'all good' : `${badCount} bad, ${repairedCount} replaced by good ones`;
  return `${chunks} chunks, ${bytes(length)}: ${bad}${unheld === 0 ? '' : `; ${unheld} damaged that no version needs`}`;
}

function badText({ bucket, key, hash, what, repaired, reason }: BytesValidation['bad'][number]): string {
  return `${bucket}/${key}: ${what} ${hash}${repaired ? ' (put right)' : `: ${reason ?? ''}`}`;
}

function unsound({ peers }: ValidationReport, { repair }: ValidateOptions): SkerryError {
  const isAsked = peers.every(({ outcome }) => outcome === 'equal' || outcome === 'different');
  const hint = !isAsked
    ? 'a peer could not be compared with: try again when it is within reach and few writes are under way'
    : repair
      ? 'what is left is to be put right at the peer: run it there too'
      : 'with --repair it puts right what is wrong here';
  return new SkerryError('Conflict', 'the check found something wrong', { details: { hint } });
}
