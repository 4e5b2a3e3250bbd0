/** What can be judged, by name. */
import { engineAdapter } from './engine-adapter.ts';
import { relayAdapter } from './relay-adapter.ts';
import { replicationAdapter } from './replication-adapter.ts';
import type { WorldName } from './run-many.ts';
import type { SiteAdapter } from './site.ts';

export const adapters: Readonly<Record<WorldName, SiteAdapter>> = {
  engine: engineAdapter,
  relay: relayAdapter,
  replication: replicationAdapter,
};
