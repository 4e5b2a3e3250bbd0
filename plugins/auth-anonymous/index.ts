/** auth-anonymous: no access control. Everybody is the same user, with one configured permission. */
import { definePlugin } from '../../core/contracts/index.ts';
import { createAnonymousAuth } from './anonymous-auth.ts';
import { optionsSchema, type AnonymousOptions } from './options.ts';

export default definePlugin<'auth', AnonymousOptions>({
  kind: 'auth',
  name: 'auth-anonymous',
  contract: 1,
  supports: { anonymous: true, presigned: false, framedPayloads: true, signatures: false, policies: false },
  options: optionsSchema,
  create: (_deps, options) => createAnonymousAuth(options),
});
