/** Options of resolver-primary: JSON Schema, defaults and type in one place. */
import type { OptionsSchema, SiteId } from '../../core/contracts/index.ts';

export interface PrimaryOptions {
  readonly role: 'primary' | 'replica';
  readonly primary?: SiteId;
  readonly primaryUrl?: string;
  readonly url?: string;
  readonly writes?: 'refuse' | 'forward';
}

const address = (description: string) => ({
  type: 'string',
  pattern: '^https?://[^\\s]+$',
  maxLength: 2048,
  description,
});

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['role'],
  properties: {
    role: {
      enum: ['primary', 'replica'],
      description: 'What this site is until a primary is promoted: exactly one site of the fleet is `primary`.',
    },
    primary: {
      type: 'string',
      pattern: '^[a-z0-9][a-z0-9-]{0,31}$',
      description: 'On a replica: site id of the primary, for its refusals.',
    },
    primaryUrl: address(
      'On a replica: where clients find the primary: told in refusals, and where writes are handed to.',
    ),
    url: address('Where clients find this site: what the others answer, or hand writes to, once it is promoted.'),
    writes: {
      enum: ['refuse', 'forward'],
      default: 'refuse',
      description: 'What this site does with writes while it is a replica: refuse them, or hand them to the primary.',
    },
  },
};
