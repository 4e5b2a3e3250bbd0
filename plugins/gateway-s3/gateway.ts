/** The gateway port over the listener and the pipeline. */
import type { Gateway, PluginKinds } from '../../core/contracts/index.ts';
import { SiteClient } from './forward-adapter.ts';
import { S3Handler } from './handler.ts';
import { HttpListener } from './http-adapter.ts';
import type { S3Options } from './options.ts';

export class S3Gateway implements Gateway {
  readonly #listener: HttpListener;
  readonly #client: SiteClient;

  constructor(deps: PluginKinds['gateway']['deps'], options: S3Options) {
    const { siteId, clock, hashing, logger, random, timers, services } = deps;
    const { objects, writers, admin, auth, identities, health } = services;
    const client = new SiteClient(options.idleTimeoutMs);
    this.#client = client;
    const handler = new S3Handler({
      services: { objects, admin, auth, identities, clock, hashing, logger, options },
      health,
      random,
      forwarding: { siteId, writers, auth, objects, logger, send: (request) => client.send(request) },
    });
    this.#listener = new HttpListener(options, {
      timers,
      handle: (exchange) => handler.handle(exchange),
      renderRefusal: (code) => handler.renderRefusal(code),
    });
  }

  open(): Promise<void> {
    return this.#listener.open();
  }

  async close(): Promise<void> {
    await this.#listener.close();
    this.#client.close();
  }

  addresses(): readonly string[] {
    return this.#listener.addresses();
  }

  drain(graceMs: number): Promise<void> {
    return this.#listener.drain(graceMs);
  }
}
