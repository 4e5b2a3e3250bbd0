/** `skerry repl-status`: how far peers and this site are apart. */
import type { PeerStatus, ReplicationStatus } from '../../contracts/index.ts';
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

const HEAD = ['peer', 'state', 'behind', 'seconds', 'ahead', 'last contact', 'skew', 'received', 'pushed'];

function statusText(status: ReplicationStatus): string {
  const { peers, quarantine, pending, fetch, fenced, evicted } = status;
  const many = pending.atLeast ? ' or more' : '';
  const problems = peers.flatMap(({ site, lastError }) => (lastError === undefined ? [] : [`${site}: ${lastError}`]));
  const held = quarantine.map(
    ({ origin, reason, retryAtMs }) => `held back: ops of ${origin} (${reason}), tried again at ${time(retryAtMs)}`,
  );
  const standing =
    fenced === undefined
      ? []
      : [`STANDS STILL: ${fenced.by} knows another past of this site (op ${fenced.knownSeq}, here ${fenced.ownSeq})`];
  const lost = evicted === undefined ? 0 : evicted.ownSeq - evicted.knownSeq;
  if (lost > 0) standing.push(`STANDS STILL: removed from the cluster; its last ${lost} ops are nowhere else`);
  return [
    facts([
      ['site', status.site],
      ['origin', status.origin],
      ['answers on', status.addresses.join(' ') || 'nothing: it only dials out'],
      ['pending', `${pending.versions}${many} versions, the oldest for ${Math.round(pending.oldestSeconds)} s`],
      ['fetched', `${bytes(fetch.fetchedBytes)} in chunks, ${bytes(fetch.savedBytes)} were here already`],
    ]),
    table(HEAD, peers.map(peerRow), 'no peers are configured'),
    ...problems,
    ...held,
    ...standing,
  ].join('\n');
}

function peerRow(peer: PeerStatus): readonly string[] {
  return [
    peer.site,
    peer.state,
    String(peer.opsBehind),
    peer.secondsBehind.toFixed(1),
    String(peer.opsAhead),
    peer.lastContactMs === undefined ? 'never' : time(peer.lastContactMs),
    `${peer.clockSkewMs} ms`,
    `${peer.opsReceived} ops, ${bytes(peer.bytesReceived + peer.chunkBytesFetched)}`,
    `${peer.opsPushed} ops, ${bytes(peer.bytesPushed)}`,
  ];
}
