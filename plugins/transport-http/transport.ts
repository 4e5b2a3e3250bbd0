/** One site's end of the links to its peers: answers calls on a listener of its own, makes them over kept connections. */
import {
  SkerryError,
  type PeerAddress,
  type PeerIdentity,
  type PeerLink,
  type PluginDeps,
  type ServeCall,
  type Transport,
} from '../../core/contracts/index.ts';
import { createConnector, type TlsFiles } from './client-adapter.ts';
import type { Connector, IncomingExchange } from './exchange.ts';
import { packFault } from './faults.ts';
import { admit, type Admitted, type Refused } from './gate.ts';
import { KeyRing } from './keys.ts';
import { HttpLink } from './link.ts';
import { HttpListener } from './listener-adapter.ts';
import type { Options } from './options.ts';
import { OutgoingCall } from './outgoing-call.ts';
import { ANSWER_HEADER, CALL_NAME, ORIGIN, PAYLOAD_MAX_BYTES, closed, unavailable } from './protocol.ts';
import { RefusalLog } from './refusal-log.ts';
import { ReplayGuard } from './replay.ts';
import { ServedCall } from './served-call.ts';
import { signAnswer } from './signature.ts';

const NONCE_BYTES = 16;
/** Of all request bodies that arrive or are worked on, packed and unpacked: room for a dozen peers that push chunks. */
const BODIES_MAX_BYTES = 3 * PAYLOAD_MAX_BYTES;
const EMPTY = new Uint8Array(0);

export type HttpTransportDeps = Pick<PluginDeps, 'clock' | 'timers' | 'random' | 'files' | 'logger'>;

interface Serving {
  readonly self: PeerIdentity;
  readonly serve: ServeCall;
  readonly replays: ReplayGuard;
}

export class HttpTransport implements Transport {
  readonly #deps: HttpTransportDeps;
  readonly #options: Options;
  readonly #keys: KeyRing;
  readonly #refusals: RefusalLog;
  readonly #links = new Set<HttpLink>();
  /** Calls that are being answered here, each with the promise of its end. */
  readonly #served = new Map<ServedCall, Promise<void>>();
  #state: 'new' | 'open' | 'closed' = 'new';
  #self: PeerIdentity | undefined;
  #listener: HttpListener | undefined;
  #tls: TlsFiles | undefined;
  #bodyBytes = 0;
  #closing: Promise<void> | undefined;

  constructor({ clock, timers, random, files, logger }: HttpTransportDeps, options: Options) {
    this.#deps = { clock, timers, random, files, logger };
    this.#options = options;
    this.#keys = new KeyRing(options);
    this.#refusals = new RefusalLog(clock, logger);
  }

  async open(): Promise<void> {
    if (this.#state === 'closed') throw closed();
    if (this.#state === 'open') throw new SkerryError('InvalidArgument', 'the transport was opened before');
    this.#checkOptions();
    this.#tls = await this.#readTls();
    if (this.#isClosed()) throw closed();
    this.#state = 'open';
  }

  /** Behind an `await` the state may be another. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #checkOptions(): void {
    const { heartbeatMs, idleTimeoutMs, listen, tls } = this.#options;
    if (this.#keys.isEmpty)
      throw badConfig('has no key: set replication.clusterKey, the same at every site (or siteKeys)');
    if (idleTimeoutMs < 2 * heartbeatMs) throw badConfig('needs an idleTimeoutMs of at least two heartbeatMs');
    if (listen !== undefined && tls !== undefined && tls.certFile === undefined)
      throw badConfig('listens with tls but has no certFile and keyFile');
    if (tls?.mutual === true && tls.caFile === undefined)
      throw badConfig('asks for certificates (tls.mutual) but trusts none: set tls.caFile');
    if (this.#keys.hasGuessable)
      this.#deps.logger.warn({}, 'a replication key is shorter than 16 characters: it can be found by trial');
  }

  async #readTls(): Promise<TlsFiles | undefined> {
    const { tls } = this.#options;
    if (tls === undefined) return undefined;
    const [cert, key, ca] = await Promise.all([tls.certFile, tls.keyFile, tls.caFile].map((path) => this.#pem(path)));
    return {
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(ca === undefined ? {} : { ca }),
    };
  }

  async #pem(path: string | undefined): Promise<Uint8Array | undefined> {
    if (path === undefined) return undefined;
    const pem = await this.#deps.files.readFile(path);
    if (pem === undefined) throw badConfig(`cannot read the TLS file ${path}: it does not exist`);
    return pem;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#state = 'closed';
    for (const link of this.#links) void link.close();
    const gone = unavailable('the transport is closing');
    for (const call of this.#served.keys()) call.stop(gone);
    const ends = [...this.#served.values()];
    await this.#listener?.close();
    await Promise.all(ends);
  }

  async listen(self: PeerIdentity, serve: ServeCall): Promise<readonly string[]> {
    if (this.#state !== 'open') throw closed();
    if (this.#self !== undefined) throw new SkerryError('InvalidArgument', 'the transport listens already');
    if (ORIGIN.exec(self.origin)?.[1] !== self.site)
      throw new SkerryError('InvalidArgument', `${self.origin} is no origin of site ${self.site}`);
    this.#self = Object.freeze({ ...self });
    const { listen, tls } = this.#options;
    if (listen === undefined) return [];
    const { timeWindowMs: windowMs, replayEntriesMax: entriesMax, connectionsMax, headerTimeoutMs } = this.#options;
    const { clock, timers } = this.#deps;
    const replays = new ReplayGuard({ windowMs, entriesMax, sinceMs: clock.wallMs() });
    const serving: Serving = { self: this.#self, serve, replays };
    const listener = new HttpListener({
      listen,
      tls: tls === undefined ? undefined : { ...this.#tls, mutual: tls.mutual },
      connectionsMax,
      headerTimeoutMs,
      timers,
      handle: (exchange) => this.#handle(serving, exchange),
      garbage: (what, remote) => this.#refusals.refused('garbage', { what, remote }),
    });
    const url = await listener.open();
    this.#listener = listener;
    if (!this.#isClosed()) return [url];
    await listener.close();
    throw closed();
  }

  dial(peer: PeerAddress): PeerLink {
    let connector: Connector | undefined;
    const { url } = peer;
    const connectionsMax = this.#options.connectionsPerPeerMax;
    const link = new HttpLink({
      begin: (name, body, onEnd) => {
        connector ??= createConnector({ url, connectionsMax, tls: this.#tls });
        return this.#begin(connector, peer, name, body, onEnd);
      },
      forget: () => {
        this.#links.delete(link);
        connector?.close();
      },
    });
    if (this.#state === 'open') this.#links.add(link);
    else link.end();
    return link;
  }

  #begin(connector: Connector, peer: PeerAddress, name: string, body: Uint8Array, onEnd: () => void): OutgoingCall {
    if (!CALL_NAME.test(name)) throw new SkerryError('InvalidArgument', `no name of a call: ${name}`);
    if (body.length > PAYLOAD_MAX_BYTES) throw new SkerryError('TooLarge', `a request body of ${body.length} bytes`);
    const self = this.#self;
    if (self === undefined)
      throw new SkerryError('Unauthenticated', 'only a site that listens can call: it has no identity');
    const { compression, connectTimeoutMs, heartbeatMs, idleTimeoutMs } = this.#options;
    const limits = { compression, connectTimeoutMs, heartbeatMs, idleTimeoutMs };
    const key = this.#keys.require(peer.site);
    const onKeyRefused = (): void => this.#keys.refused(peer.site, key);
    return new OutgoingCall({ ...this.#deps, ...limits, self, peer, key, onKeyRefused, connector }, name, onEnd);
  }

  #handle({ self, serve, replays }: Serving, exchange: IncomingExchange): void {
    const { clock } = this.#deps;
    const verdict = admit({ clock, keys: this.#keys, replays, self }, exchange);
    if ('reason' in verdict) this.#refuse(exchange, verdict);
    else if (this.#served.size >= this.#options.callsMax) this.#refuse(exchange, busy(verdict));
    else this.#serve(verdict, exchange, serve);
  }

  #refuse(exchange: IncomingExchange, { status, reason, error, proved }: Refused): void {
    const from = proved?.claim.from;
    this.#refusals.refused(reason, { remote: exchange.remote, ...(from === undefined ? {} : { from }) });
    const body = packFault(error);
    exchange.refuse(status, proved === undefined ? {} : this.#sign(proved, status, body).header, body);
  }

  #sign({ key, claim }: NonNullable<Refused['proved']>, status: number, body: Uint8Array) {
    const nonce = this.#deps.random.hex(NONCE_BYTES);
    return { nonce, header: { [ANSWER_HEADER]: signAnswer(key, claim, { status, nonce, body }) } };
  }

  #serve(admitted: Admitted, exchange: IncomingExchange, serve: ServeCall): void {
    const { nonce, header } = this.#sign(admitted, 200, EMPTY);
    const { heartbeatMs, idleTimeoutMs } = this.#options;
    const hold = (bytes: number): void => this.#hold(bytes);
    const call = new ServedCall({ ...this.#deps, heartbeatMs, idleTimeoutMs, exchange, serve, hold }, admitted, nonce);
    const gone = new SkerryError('Aborted', 'the caller is gone');
    exchange.begin(header, { bytes: (chunk) => call.bytes(chunk), gone: () => call.stop(gone) });
    this.#served.set(
      call,
      call.run().finally(() => this.#served.delete(call)),
    );
  }

  #hold(bytes: number): void {
    if (bytes > 0 && this.#bodyBytes + bytes > BODIES_MAX_BYTES)
      throw new SkerryError('SlowDown', 'too many request bodies are under way at once');
    this.#bodyBytes += bytes;
  }
}

function busy({ claim, key }: Admitted): Refused {
  const error = new SkerryError('SlowDown', 'too many calls are being answered', { details: { reason: 'busy' } });
  return { status: 503, reason: 'busy', error, proved: { claim, key } };
}

function badConfig(problem: string): SkerryError {
  return new SkerryError('InvalidConfig', `transport-http ${problem}`);
}
