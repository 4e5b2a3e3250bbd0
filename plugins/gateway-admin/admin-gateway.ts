/** Token, body, route, call, answer. The sockets are in http-adapter.ts. */
import { join } from 'node:path';
import {
  isSkerryError,
  SkerryError,
  type ErrorCode,
  type FileSystem,
  type Gateway,
  type GatewayServices,
  type Json,
  type Logger,
  type Random,
  type Timers,
} from '../../core/contracts/index.ts';
import { AdminListener, type Incoming } from './http-adapter.ts';
import type { Options } from './options.ts';
import { route, type Answer } from './routes.ts';
import { carriesToken, keepToken } from './token.ts';

export interface AdminGatewayDeps {
  readonly services: Pick<GatewayServices, 'admin'>;
  /** The site's data directory: socket and token lie beside the site's own files, where people look for them. */
  readonly siteDir: string;
  readonly files: FileSystem;
  readonly random: Random;
  readonly timers: Timers;
  readonly logger: Logger;
}

const SOCKET_NAME = 'admin.sock';
const TOKEN_NAME = 'admin.token';

/** HTTP status of a refusal; every other code is the server's fault: 500. */
const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  InvalidArgument: 400,
  InvalidBucketName: 400,
  InvalidConfig: 400,
  Unauthenticated: 401,
  AccessDenied: 403,
  NotFound: 404,
  NoSuchBucket: 404,
  NoSuchSetting: 404,
  MethodNotAllowed: 405,
  Timeout: 408,
  AlreadyExists: 409,
  BucketAlreadyExists: 409,
  BucketAlreadyOwnedByYou: 409,
  BucketNotEmpty: 409,
  Conflict: 409,
  PreconditionFailed: 412,
  TooLarge: 413,
  SlowDown: 429,
  NotSupported: 501,
  Unavailable: 503,
  Closed: 503,
  OutOfSpace: 507,
};

export class AdminGateway implements Gateway {
  readonly #deps: AdminGatewayDeps;
  readonly #options: Options;
  #listener: AdminListener | undefined;

  constructor(deps: AdminGatewayDeps, options: Options) {
    this.#deps = deps;
    this.#options = options;
  }

  async open(): Promise<void> {
    const { siteDir, files, random, timers } = this.#deps;
    const token = await keepToken(join(siteDir, TOKEN_NAME), files, random);
    const { listen, bodyMaxBytes, requestTimeoutMs } = this.#options;
    const listener = new AdminListener({
      socketPath: join(siteDir, SOCKET_NAME),
      ...(listen === undefined ? {} : { address: listen }),
      bodyMaxBytes,
      requestTimeoutMs,
      timers,
      handle: async (incoming) => this.#answer(incoming, token),
    });
    await listener.open();
    this.#listener = listener;
  }

  addresses(): readonly string[] {
    return this.#listener?.addresses() ?? [];
  }

  async drain(graceMs: number): Promise<void> {
    await this.#listener?.drain(graceMs);
  }

  async close(): Promise<void> {
    await this.#listener?.close();
    this.#listener = undefined;
  }

  /** Never rejects. Nothing of a request is read before its token is. */
  async #answer(incoming: Incoming, token: string): Promise<Answer> {
    try {
      if (!carriesToken(incoming.authorization, token)) {
        throw new SkerryError('Unauthenticated', `give the token of ${TOKEN_NAME} as a bearer token`, {
          details: { hint: 'a restart of the site makes another token: try again' },
        });
      }
      const { answer, names } = route(incoming.method, incoming.path);
      const body = parseBody(await incoming.body());
      return await answer({ admin: this.#deps.services.admin, names, query: incoming.query, body });
    } catch (error) {
      return this.#refusal(error, incoming);
    }
  }

  #refusal(error: unknown, { method, path }: Incoming): Answer {
    const known = isSkerryError(error);
    const status = (known ? STATUS[error.code] : undefined) ?? 500;
    if (status === 500) this.#deps.logger.error({ method, path, error }, 'an admin call failed');
    if (!known) return { status, body: { code: 'Internal', message: 'internal error; the log has it', details: {} } };
    const { code, message, retryable, details } = error;
    return { status, body: { code, message, retryable, details } };
  }
}

function parseBody(bytes: Uint8Array): Json | undefined {
  if (bytes.length === 0) return undefined;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json;
  } catch (error) {
    throw new SkerryError('InvalidArgument', `the body is not JSON: ${(error as Error).message}`, { cause: error });
  }
}
