/** auth-sigv4: AWS Signature Version 4 (and, where configured, 2) with AWS policies. */
import { definePlugin } from '../../core/contracts/index.ts';
import { optionsSchema, type SigV4Options } from './options.ts';
import { createSigV4Auth } from './sigv4-auth.ts';

export default definePlugin<'auth', SigV4Options>({
  kind: 'auth',
  name: 'auth-sigv4',
  contract: 1,
  supports: { anonymous: true, presigned: true, framedPayloads: true, signatures: true, policies: true },
  options: optionsSchema,
  create: ({ clock, identities }, options) => createSigV4Auth({ clock, identities }, options),
});
