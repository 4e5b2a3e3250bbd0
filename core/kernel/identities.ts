/** Identities that the configuration names, as the engine keeps them. */
import { createHash } from 'node:crypto';
import type { Identity } from '../contracts/index.ts';
import type { ConfigIdentity, SiteConfig } from './config/types.ts';

const DEFAULT_ACCOUNT = '000000000001';

/** Those of the auth section, and the root of the environment before them. */
export function configIdentities({ plugins, seed }: SiteConfig): readonly Identity[] {
  const root: readonly ConfigIdentity[] =
    seed.rootAccessKey === undefined || seed.rootSecretKey === undefined
      ? []
      : [{ accessKey: seed.rootAccessKey, secretKey: seed.rootSecretKey, policy: 'admin', displayName: 'root' }];
  return [...root, ...plugins.auth.identities].map(asIdentity);
}

function asIdentity({ accessKey, secretKey, policy, userId, displayName, email, account }: ConfigIdentity): Identity {
  return {
    accessKeyId: accessKey,
    secretKey,
    userId: userId ?? canonicalId(accessKey),
    displayName: displayName ?? accessKey,
    ...(email === undefined ? {} : { email }),
    account: account ?? DEFAULT_ACCOUNT,
    policy,
    enabled: true,
    fromConfig: true,
  };
}

/** A canonical user id as S3 shows it, 64 hex digits: the same for the same access key on every site and at every start. */
function canonicalId(accessKey: string): string {
  return createHash('sha256').update(`skerry user ${accessKey}`).digest('hex');
}
