/** Options of gateway-s3: JSON Schema, defaults and type in one place. */
import type { OptionsSchema } from '../../core/contracts/index.ts';

export interface S3Options {
  readonly listen: { readonly host: string; readonly port: number };
  readonly region: string;
  readonly domains: readonly string[];
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  readonly maxHeaderBytes: number;
  readonly idleTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly maxConnections: number;
  readonly drainMaxBytes: number;
  readonly accessLog: boolean;
}

const PATH = { type: 'string', format: 'path', minLength: 1 };

const positive = (value: number, description: string) => ({
  type: 'integer',
  minimum: 1,
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
      default: {},
      description: 'Where to listen.',
      properties: {
        host: { type: 'string', minLength: 1, default: '127.0.0.1', description: 'Address or name.' },
        port: { type: 'integer', minimum: 0, maximum: 65535, default: 9000, description: '0: any free port.' },
      },
    },
    region: { type: 'string', minLength: 1, default: 'us-east-1', description: 'Region that this site answers for.' },
    domains: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      default: [],
      description: 'Base domains of virtual-host style: `bucket.<domain>`. Never guessed from the Host header.',
    },
    tls: {
      type: 'object',
      additionalProperties: false,
      required: ['certFile', 'keyFile'],
      description: 'PEM files; with them the gateway speaks HTTPS only.',
      properties: { certFile: PATH, keyFile: PATH },
    },
    maxHeaderBytes: { type: 'integer', minimum: 16_384, default: 65_536, description: 'Request line and headers.' },
    idleTimeoutMs: positive(
      60_000,
      'A connection in mid-request on which the client moves no byte for so long is cut.',
    ),
    keepAliveTimeoutMs: positive(75_000, 'How long an idle connection stays open between requests.'),
    maxConnections: positive(10_000, 'Connections beyond this are refused.'),
    drainMaxBytes: {
      type: 'integer',
      minimum: 0,
      default: 8_388_608,
      description: 'Body bytes still read and thrown away after an early answer, so that the client gets to see it.',
    },
    accessLog: { type: 'boolean', default: true, description: 'One log line (level info) a request.' },
  },
};
