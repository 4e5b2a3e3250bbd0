/** Options of transport-http: JSON Schema, defaults and type in one place. */
import type { OptionsSchema } from '../../core/contracts/index.ts';

export interface TlsOptions {
  /** PEM: shown to callers, and to peers that ask for one. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** PEM: whose certificates are trusted, both of peers that are dialled and, with `mutual`, of callers. */
  readonly caFile?: string;
  /** Callers without a certificate signed by `caFile` are cut off. */
  readonly mutual: boolean;
}

export interface Options {
  /** Absent: this site only dials out. */
  readonly listen?: { readonly host: string; readonly port: number };
  /** Shared by all sites; the kernel fills in `replication.clusterKey`. */
  readonly clusterKey?: string;
  /** Accepted besides it; the kernel fills in `replication.previousClusterKeys`. */
  readonly previousClusterKeys: readonly string[];
  /** Keys shared with one peer each, by its site id; such a peer is not believed with the cluster key. */
  readonly siteKeys: Readonly<Record<string, string>>;
  readonly tls?: TlsOptions;
  readonly compression: 'zstd' | 'gzip' | 'none';
  readonly timeWindowMs: number;
  readonly replayEntriesMax: number;
  readonly connectTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly idleTimeoutMs: number;
  readonly headerTimeoutMs: number;
  readonly connectionsPerPeerMax: number;
  readonly connectionsMax: number;
  readonly callsMax: number;
}

const SECRET = { type: 'string', minLength: 1, writeOnly: true };
const PATH = { type: 'string', format: 'path', minLength: 1 };

const count = (minimum: number, value: number, description: string) => ({
  type: 'integer',
  minimum,
  default: value,
  description,
});

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    listen: {
      type: 'object',
      additionalProperties: false,
      required: ['host', 'port'],
      properties: { host: { type: 'string', minLength: 1 }, port: { type: 'integer', minimum: 0, maximum: 65_535 } },
      description: 'Where to answer; port 0 is any free one. Absent: this site only dials out.',
    },
    clusterKey: { ...SECRET, description: 'Shared by all sites; replication.clusterKey when absent.' },
    previousClusterKeys: {
      type: 'array',
      items: SECRET,
      default: [],
      description: 'Accepted too, while the sites go over to another cluster key; replication.previousClusterKeys.',
    },
    siteKeys: {
      type: 'object',
      propertyNames: { pattern: '^[a-z0-9][a-z0-9-]{0,31}$' },
      additionalProperties: SECRET,
      default: {},
      description: 'Keys shared with one peer each, by its site id, in place of the cluster key.',
    },
    tls: {
      type: 'object',
      additionalProperties: false,
      dependentRequired: { certFile: ['keyFile'], keyFile: ['certFile'] },
      description: 'PEM files. With a certificate and `listen`, only TLS is spoken there.',
      properties: {
        certFile: { ...PATH, description: 'Shown to callers, and to peers that ask for one.' },
        keyFile: { ...PATH, description: 'Of that certificate.' },
        caFile: { ...PATH, description: 'Whose certificates are trusted. Absent: those that Node.js trusts.' },
        mutual: {
          type: 'boolean',
          default: false,
          description: 'Cut off callers that show no certificate signed by `caFile`.',
        },
      },
    },
    compression: {
      enum: ['zstd', 'gzip', 'none'],
      default: 'zstd',
      description: 'Of frames and bodies above 1 KiB, where it saves a tenth or more.',
    },
    timeWindowMs: count(1000, 300_000, 'How far the clocks of caller and server may be apart.'),
    replayEntriesMax: count(1000, 1_000_000, 'Calls remembered within the time window; beyond it calls are put off.'),
    connectTimeoutMs: count(10, 10_000, 'Until the head of an answer, connecting included.'),
    heartbeatMs: count(10, 15_000, 'A side of a call that has sent nothing for so long sends a heartbeat.'),
    idleTimeoutMs: count(20, 60_000, 'A call on which nothing arrives for so long is broken; at least two heartbeats.'),
    headerTimeoutMs: count(100, 10_000, 'A caller has so long to send the head of a request.'),
    connectionsPerPeerMax: count(1, 256, 'Calls to one peer at once; further ones wait.'),
    connectionsMax: count(1, 1024, 'Connections to the listener; further ones are refused.'),
    callsMax: count(1, 512, 'Calls answered at once; further ones are put off.'),
  },
};
