/** Options of gateway-admin: JSON Schema, defaults and type in one place. */
import type { OptionsSchema } from '../../core/contracts/index.ts';

export interface Options {
  /** Answer on a TCP address as well. Absent: the socket only. */
  readonly listen?: { readonly host: string; readonly port: number };
  /** Longest request body, bytes. */
  readonly bodyMaxBytes: number;
  /** A request that has not arrived whole after so long is cut. */
  readonly requestTimeoutMs: number;
}

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    listen: {
      type: 'object',
      additionalProperties: false,
      required: ['host', 'port'],
      properties: {
        host: { type: 'string', minLength: 1 },
        port: { type: 'integer', minimum: 0, maximum: 65_535 },
      },
      description: 'a TCP address besides the socket; plain HTTP, so keep it on a loopback or a private network',
    },
    bodyMaxBytes: {
      type: 'integer',
      minimum: 1024,
      maximum: 64 * 1024 * 1024,
      default: 1024 * 1024,
      description: 'longest request body, bytes',
    },
    requestTimeoutMs: {
      type: 'integer',
      minimum: 100,
      default: 30_000,
      description: 'a request that has not arrived whole after so long is cut',
    },
  },
};
