/** `skerry repl-status`: how far peers and this site are apart. */
import type { BootstrapStatus, Fenced, PeerStatus, ReplicationStatus } from '../../contracts/index.ts';
import { withAdmin } from '../admin-access.ts';
import { command, type MakeCommand } from '../command.ts';
import { bytes, facts, print, table, time } from '../terminal.ts';

export const replStatusCommand: MakeCommand = (terminal) =>
  command({
    command: 'repl-status',
    describe: 'Show how replication is: peers, how far behind, what is pending or held back',
    builder: (yargs) => yargs.example('$0 repl-status --json', 'for a script: .peers[].opsBehind, .pending.versions'),
    handler: async (options) => {
      const status = await withAdmin(terminal, options, async (admin) => admin.replicationStatus());
      print(terminal, options, { json: status, text: statusText(status) });
    },
  });

const HEAD = [
  'peer',
  'state',
  'behind',
  'seconds',
  'bytes',
  'ahead',
  'last contact',
  'skew',
  'lease',
  'caught up in',
  'received',
  'pushed',
];

function statusText(status: ReplicationStatus): string {
  const { peers, pending, fetch, integrity, conflicts = {}, bootstrap } = status;
  const checks = Object.entries(integrity.peers).map(
    ([site, { outcome, atMs }]) => `${site} ${outcome} at ${time(atMs)}`,
  );
  const many = pending.atLeast ? ' or more' : '';
  const waiting = `${pending.versions}${many} versions, at most ${bytes(pending.bytes)}`;
  const counts = Object.entries(conflicts).map(([bucket, count]) => `${bucket} ${count}`);
  const problems = peers.flatMap(({ site, lastError }) => (lastError === undefined ? [] : [`${site}: ${lastError}`]));
  return [
    facts([
      ['site', status.site],
      ['origin', status.origin],
      ['answers on', status.addresses.join(' ') || 'nothing: it only dials out'],
      ['pending', `${waiting}, the oldest for ${Math.round(pending.oldestSeconds)} s`],
      ['fetched', `${bytes(fetch.fetchedBytes)} in chunks, ${bytes(fetch.savedBytes)} were here already`],
      ...(bootstrap === undefined ? [] : [['snapshot', bootstrapText(bootstrap)] as const]),
      ['conflicts', counts.length === 0 ? 'none' : counts.join(', ')],
      [
        'bytes',
        `${integrity.damagedChunks} damaged chunks found since the start, ${integrity.repairedChunks} repaired`,
      ],
      [
        'digests',
        checks.length === 0 ? 'not compared in the background yet; now: skerry repl-validate' : checks.join(', '),
      ],
    ]),
    table(HEAD, peers.map(peerRow), 'no peers are configured; who calls this site is in skerry repl-members list'),
    ...problems,
    ...alarms(status),
  ].join('\n');
}

export function bootstrapText({ from, state, entities, bytes: size, at, problem, hint }: BootstrapStatus): string {
  const place = at === undefined || state === 'done' ? '' : `, at ${at}`;
  const trouble = problem === undefined ? '' : `; ${problem}`;
  const advice = hint === undefined ? '' : ` (${hint})`;
  return `of ${from}: ${state}, ${entities} entries, ${bytes(size)}${place}${trouble}${advice}`;
}

function alarms({
  integrity,
  quarantine,
  fenced,
  evicted,
  takesBack = {},
  vector,
  writesRefused,
}: ReplicationStatus): readonly string[] {
  const lost = evicted === undefined ? 0 : evicted.ownSeq - evicted.knownSeq;
  return [
    ...quarantine.map(
      ({ origin, reason, ops, retryAtMs }) =>
        `held back: ${ops} ops of ${origin} (${reason}), tried again at ${time(retryAtMs)}`,
    ),
    ...Object.entries(takesBack).map(
      ([origin, seq]) => `takes back ops of ${origin}: ${vector[origin] ?? 0} of ${seq} are here`,
    ),
    ...Object.entries(integrity.peers).flatMap(([site, { outcome }]) =>
      outcome === 'different' ? [`ANOTHER STATE at ${site} after the same ops: run skerry repl-validate at both`] : [],
    ),
    ...(writesRefused === undefined ? [] : [`WRITES ARE REFUSED: ${writesRefused}`]),
    ...(fenced === undefined ? [] : standing(fenced)),
    ...(lost > 0 ? [`STANDS STILL: removed from the cluster; its last ${lost} ops are nowhere else`] : []),
  ];
}

function standing({ by, ownSeq, knownSeq, diverged, unproven = [], onlyHere }: Fenced): readonly string[] {
  const first = `STANDS STILL: ${by} knows another past of this site (op ${knownSeq}, here ${ownSeq})`;
  if (!diverged && unproven.length === 0) return [first];
  if (!diverged)
    return [
      first,
      `${unproven.join(', ')} cannot prove that nothing was written here since: see skerry repl-recover --help`,
    ];
  const names = onlyHere === undefined ? [] : [`only here: ${onlyHere.ops} ops, of ${onlyHere.names.join(', ')}`];
  return [
    first,
    ...names,
    'copy these out with an S3 client (reads go on), then start with an empty data directory and put them again',
  ];
}

function peerRow(peer: PeerStatus): readonly string[] {
  return [
    peer.site,
    peer.state,
    String(peer.opsBehind),
    peer.secondsBehind.toFixed(1),
    bytes(peer.bytesBehind),
    String(peer.opsAhead),
    peer.lastContactMs === undefined ? 'never' : time(peer.lastContactMs),
    `${peer.clockSkewMs} ms`,
    peer.leaseExpiresAtMs === undefined ? '' : `until ${time(peer.leaseExpiresAtMs)}`,
    peer.caughtUpInMs === undefined ? '' : `${(peer.caughtUpInMs / 1000).toFixed(1)} s`,
    `${peer.opsReceived} ops, ${bytes(peer.bytesReceived + peer.chunkBytesFetched)}`,
    `${peer.opsPushed} ops, ${bytes(peer.bytesPushed)}`,
  ];
}
