/** What an auth plugin under test sees: a few identities, a clock that the kit moves, and nothing else of the outside. */
import type {
  Clock,
  Identity,
  IdentityDirectory,
  PermissionPolicy,
  PluginKinds,
} from '../../../core/contracts/index.ts';
import { SkerryError } from '../../../core/contracts/index.ts';

/** Handed to the adopter's `create`; `deps` is all that a plugin's `create` takes. */
export interface AuthWorld {
  readonly clock: Clock;
  readonly identities: IdentityDirectory;
  /**
   * The dependencies of a plugin, with `clock` and `identities` in them. Everything else refuses to be used: an auth plugin keeps nothing
   * durable. A plugin that needs more gets its own from the adopter.
   */
  readonly deps: PluginKinds['auth']['deps'];
}

/** The world with its levers, for the kit alone. */
export interface AuthControls extends AuthWorld {
  setNow(ms: number): void;
  setIdentity(identity: Identity): void;
}

/** The moment of AWS's documented examples: 20130524T000000Z. */
export const EXAMPLE_TIME_MS = Date.UTC(2013, 4, 24);

function identity(accessKeyId: string, name: string, account: string, policy: PermissionPolicy): Identity {
  return {
    accessKeyId,
    secretKey: `secret of ${name}/wJalrXUtnFEMI+K7MDENG`,
    userId: `id-of-${name}`,
    displayName: name,
    email: `${name}@example.com`,
    account,
    policy,
    enabled: true,
    fromConfig: false,
  };
}

/** `owner` has the credentials of AWS's documented examples. */
export const WHO = {
  owner: {
    ...identity('AKIAIOSFODNN7EXAMPLE', 'owner', '111111111111', 'rw'),
    secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  },
  reader: identity('AKIAREADER', 'reader', '111111111111', 'ro'),
  stranger: identity('AKIASTRANGER', 'stranger', '222222222222', 'rw'),
  admin: identity('AKIAADMIN', 'admin', '333333333333', 'admin'),
  disabled: { ...identity('AKIADISABLED', 'disabled', '111111111111', 'rw'), enabled: false },
} as const satisfies Record<string, Identity>;

export function createAuthWorld(): AuthControls {
  const known = new Map<string, Identity>(Object.values(WHO).map((who) => [who.accessKeyId, who]));
  let nowMs = EXAMPLE_TIME_MS;
  const clock: Clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
  const identities: IdentityDirectory = {
    find: (accessKeyId) => known.get(accessKeyId),
    findUser: (name) => [...known.values()].find(({ userId, email }) => userId === name || email === name),
  };
  return {
    clock,
    identities,
    deps: { ...INERT, clock, identities },
    setNow: (ms) => {
      nowMs = ms;
    },
    setIdentity: (who) => {
      known.set(who.accessKeyId, who);
    },
  };
}

/** Stands where a port should be: any use is a fault of the plugin. */
function unused(name: string): never {
  return new Proxy(Object.create(null), {
    get() {
      throw new SkerryError('Internal', `an auth plugin has no business with ${name}`);
    },
  }) as never;
}

const silent = (): void => {};
const INERT: Omit<PluginKinds['auth']['deps'], 'clock' | 'identities'> = {
  siteId: 'kit',
  dataDir: 'unused',
  timers: unused('timers'),
  random: unused('random'),
  files: unused('files'),
  hashing: unused('hashing'),
  logger: { debug: silent, info: silent, warn: silent, error: silent, child: () => INERT.logger },
};
