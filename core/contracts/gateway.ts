/**
 * Gateway: a listener that turns a protocol into calls of the site's services. It holds no rule of storage or
 * replication; the object service holds no rule of HTTP.
 */
import type { AdminService } from './admin-service.ts';
import type { Auth, IdentityDirectory } from './auth.ts';
import type { SiteHooks } from './hooks.ts';
import type { SiteId } from './model.ts';
import type { ObjectService } from './object-service.ts';
import type { Lifecycle } from './lifecycle.ts';

export interface Health {
  /** The process serves at all. */
  live(): boolean;
  /**
   * Ready for clients; otherwise one sentence of what it waits for. A site that serves reads and refuses writes, since its clock or its
   * past is in doubt, is ready and says why.
   */
  ready(): {
    readonly ready: boolean;
    readonly reason?: string;
    readonly writesRefused?: string;
    /** An empty site that takes in what its peers have: what it would answer clients now is wrong, so that they are refused. */
    readonly joining?: true;
  };
}

/** Who decides the writes of this site's clients. */
export interface WriteRouting {
  /**
   * The site whose gateway of the same protocol writes are handed to; `undefined`: they are decided here, maybe by a refusal. Cheap enough for every
   * write.
   */
  forwardTo(): Promise<{ readonly site: SiteId; readonly url: string } | undefined>;
}

export interface GatewayServices {
  readonly objects: ObjectService;
  readonly writers: WriteRouting;
  readonly admin: AdminService;
  readonly auth: Auth;
  readonly identities: IdentityDirectory;
  readonly health: Health;
  readonly hooks: SiteHooks;
}

export interface Gateway extends Lifecycle {
  /** URLs (`http://127.0.0.1:9000`) that it answers on; empty before `open`. */
  addresses(): readonly string[];
  /**
   * First step of a graceful stop, before `close`: accept nothing new, let running requests finish, end after `graceMs` at the
   * latest by breaking what still runs.
   */
  drain(graceMs: number): Promise<void>;
}

export interface GatewaySupports {
  /** Name of the protocol: `s3`, `admin`. */
  readonly protocol: string;
}
