/** Options of auth-anonymous: one schema, its defaults inside. */
import type { OptionsSchema } from '../../core/contracts/index.ts';

export interface AnonymousOptions {
  readonly policy: 'admin' | 'rw' | 'ro';
  readonly userId: string;
  readonly displayName: string;
  /** 12 digits. */
  readonly account: string;
}

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    policy: {
      enum: ['admin', 'rw', 'ro'],
      default: 'admin',
      description: 'What everybody may do: everything, read and write data, or read data.',
    },
    userId: { type: 'string', minLength: 1, default: 'anonymous', description: 'Owner of what anybody creates.' },
    displayName: { type: 'string', minLength: 1, default: 'anonymous', description: 'Name of that owner in listings.' },
    account: { type: 'string', pattern: '^[0-9]{12}$', default: '000000000000', description: 'Account of that owner.' },
  },
};
