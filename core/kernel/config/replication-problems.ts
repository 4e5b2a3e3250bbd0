/** What a schema does not see in the `replication` section: keys that contradict each other, or that nothing would ever obey. */
import type { KeyPath } from './problems.ts';
import type { SiteConfig } from './types.ts';

export interface Contradiction {
  readonly path: KeyPath;
  readonly problem: string;
  readonly hint: string;
}

/** `config` fits its schema. */
export function replicationProblems({
  site,
  plugins,
  replication,
}: Pick<SiteConfig, 'site' | 'plugins' | 'replication'>): readonly Contradiction[] {
  const { peers, clusterKey, previousClusterKeys, backoffMinMs, backoffMaxMs } = replication;
  const found: Contradiction[] = [];
  const tell = (path: KeyPath, problem: string, hint: string): void =>
    void found.push({ path: ['replication', ...path], problem, hint });
  if (peers.length > 0 && plugins.transport === undefined)
    tell(
      ['peers'],
      'nothing would be replicated: there is no plugins.transport',
      'add transport: { use: http } under plugins, with a listen address if peers call this site',
    );
  for (const [index, { site: name }] of peers.entries()) {
    const path = ['peers', String(index), 'site'];
    if (name === site.id)
      tell(path, `${name} is this site itself`, 'list other sites only; each has a site.id of its own');
    if (peers.findIndex((peer) => peer.site === name) < index)
      tell(path, `${name} is listed twice`, 'each site has a site.id of its own');
  }
  if (previousClusterKeys.length > 0 && clusterKey === undefined)
    tell(['previousClusterKeys'], 'are of no use without replication.clusterKey', 'set clusterKey to the new key');
  if (backoffMinMs !== undefined && backoffMaxMs !== undefined && backoffMinMs > backoffMaxMs)
    tell(['backoffMinMs'], `is more than backoffMaxMs (${backoffMaxMs})`, 'the first wait is the shortest one');
  return found;
}
