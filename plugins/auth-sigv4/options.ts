/** Options of auth-sigv4: one schema, its defaults inside. */
import type { OptionsSchema } from '../../core/contracts/index.ts';

export interface SigV4Options {
  /** Region that errors name, and the only one accepted when `acceptAnyRegion` is false. */
  readonly region: string;
  readonly acceptAnyRegion: boolean;
  readonly maxClockSkewMs: number;
  readonly sigv2: 'query' | 'all' | 'off';
  readonly signingKeyCacheEntries: number;
}

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    region: {
      type: 'string',
      pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
      default: 'us-east-1',
      description: 'Region of this site, as errors name it.',
    },
    acceptAnyRegion: {
      type: 'boolean',
      default: true,
      description: 'Accept signatures for any region. When false only `region` is accepted.',
    },
    maxClockSkewMs: {
      type: 'integer',
      minimum: 1_000,
      maximum: 86_400_000,
      default: 900_000,
      description: 'Largest difference between the time in a request and the clock of this site, milliseconds.',
    },
    sigv2: {
      enum: ['query', 'all', 'off'],
      default: 'query',
      description: 'Where Signature Version 2 is accepted: presigned URLs only, headers too, or nowhere.',
    },
    signingKeyCacheEntries: {
      type: 'integer',
      minimum: 1,
      maximum: 1_000_000,
      default: 1024,
      description: 'Derived signing keys kept in memory, one per access key, day and region.',
    },
  },
};
