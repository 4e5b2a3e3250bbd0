/** Peers that cannot be meant: found before anything is called. */
import type { KeyPath } from './problems.ts';
import { isTree, valueAt, type Tree } from './tree.ts';

export interface PeerFault {
  readonly path: KeyPath;
  readonly problem: string;
  readonly hint: string;
}

const PEERS: KeyPath = ['replication', 'peers'];

/** Of a tree that its schema accepts. */
export function peerFaults(tree: Tree): readonly PeerFault[] {
  const listed = valueAt(tree, PEERS);
  const peers = Array.isArray(listed) ? (listed as readonly { readonly site: string }[]) : [];
  const own = valueAt(tree, ['site', 'id']);
  const faults = peers.flatMap(({ site }, index): readonly PeerFault[] => {
    const path = [...PEERS, String(index), 'site'];
    if (site === own)
      return [
        { path, problem: `${site} is this site itself`, hint: 'list other sites only; each has a site.id of its own' },
      ];
    if (peers.findIndex((peer) => peer.site === site) < index)
      return [{ path, problem: `${site} is listed twice`, hint: 'each site has a site.id of its own' }];
    return [];
  });
  const isAlone = peers.length > 0 && !isTree(valueAt(tree, ['plugins', 'transport']));
  return isAlone ? [NO_TRANSPORT, ...faults] : faults;
}

const NO_TRANSPORT: PeerFault = {
  path: PEERS,
  problem: 'nothing would be replicated: there is no plugins.transport',
  hint: 'add transport: { use: http } under plugins, with a listen address if peers call this site',
};
