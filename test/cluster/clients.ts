/** S3 clients that write colliding keys at every site and remember what was acknowledged. */
import { Connection, type Answer } from '../bench/connection.ts';
import { EMPTY_SHA256, Signer, sha256Hex } from '../bench/signer.ts';
import type { ClusterSite } from './cluster.ts';
import { CREDENTIALS } from './cluster.ts';

export interface Acknowledged {
  readonly site: string;
  readonly key: string;
  /** MD5 of the object, or `undefined` for a deletion. */
  readonly etag: string | undefined;
  /** What the site's answer said of its state: the write is the last op of that site in it. */
  readonly causality: string;
}

const BODY_MAX_BYTES = 8 * 1024 * 1024;
const SIZES = [0, 17, 4096, 20_000, 100_000, 1_500_000] as const;

export class Client {
  readonly acknowledged: Acknowledged[] = [];
  readonly #site: ClusterSite;
  readonly #bucket: string;
  readonly #random: () => number;
  #connection: Connection | undefined;
  #port = 0;
  #serial = 0;

  constructor(site: ClusterSite, bucket: string, random: () => number) {
    this.#site = site;
    this.#bucket = bucket;
    this.#random = random;
  }

  /** One random write; a site that does not answer is let be. */
  async step(keys: readonly string[]): Promise<void> {
    const key = keys[Math.floor(this.#random() * keys.length)] ?? '';
    const remove = this.#random() < 0.25;
    const size = SIZES[Math.floor(this.#random() * SIZES.length)] ?? 0;
    const body = remove ? undefined : Buffer.alloc(size, `${this.#site.name} ${++this.#serial} `);
    try {
      const answer = await this.send(remove ? 'DELETE' : 'PUT', key, '', body);
      if (answer.status >= 300) return;
      const causality = headerOf(answer, 'x-skerry-causality');
      if (causality === undefined) return;
      this.acknowledged.push({
        site: this.#site.name,
        key,
        etag: headerOf(answer, 'etag')?.replaceAll('"', ''),
        causality,
      });
    } catch {
      // killed or restarting: the outcome is not known, and nothing is owed
      this.close();
    }
  }

  async list(query: string): Promise<string> {
    const answer = await this.send('GET', '', query);
    if (answer.status !== 200)
      throw new Error(`${this.#site.name}: listing answers ${answer.status}: ${answer.body.toString('utf8')}`);
    return answer.body.toString('utf8');
  }

  /** SHA-256 of an object's bytes. */
  async digest(key: string): Promise<string> {
    const answer = await this.send('GET', key);
    return answer.status === 200 ? sha256Hex(answer.body) : String(answer.status);
  }

  send(method: string, key: string, query = '', body?: Buffer): Promise<Answer> {
    const port = this.#site.port();
    if (!this.#connection || this.#port !== port) {
      this.close();
      this.#connection = new Connection(port, '127.0.0.1', BODY_MAX_BYTES);
      this.#port = port;
    }
    const path = key === '' ? `/${this.#bucket}` : `/${this.#bucket}/${key}`;
    const signer = new Signer(CREDENTIALS, `127.0.0.1:${port}`);
    const headers = signer.headers(method, path, query, body ? sha256Hex(body) : EMPTY_SHA256);
    return this.#connection.request(method, query === '' ? path : `${path}?${query}`, headers, body);
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}

function headerOf({ headers }: Answer, name: string): string | undefined {
  return new RegExp(`\\r\\n${name}: *([^\\r]+)`, 'i').exec(headers)?.[1];
}
