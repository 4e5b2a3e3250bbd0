/** S3 clients that write colliding keys at every site and remember what was acknowledged. */
import { Connection, type Answer } from '../bench/connection.ts';
import { EMPTY_SHA256, Signer, sha256Hex } from '../bench/signer.ts';
import type { ClusterSite } from './cluster.ts';
import { CREDENTIALS } from './cluster.ts';

export interface Acknowledged {
  readonly site: string;
  readonly bucket: string;
  readonly key: string;
  /** Of the object that was written; `undefined` for other writes. */
  readonly etag: string | undefined;
  /** What the site's answer said of its state: the write is the last op of that site in it. */
  readonly causality: string;
}

interface Place {
  readonly bucket: string;
  readonly key: string;
}

interface Request extends Place {
  readonly method: string;
  readonly query?: string;
  /** Lines that are not signed. */
  readonly headers?: string;
  readonly body?: Buffer;
}

const BODY_MAX_BYTES = 8 * 1024 * 1024;
const SIZES = [0, 17, 4096, 20_000, 100_000, 1_500_000] as const;

export class Client {
  readonly acknowledged: Acknowledged[] = [];
  readonly #site: ClusterSite;
  readonly #random: () => number;
  #connection: Connection | undefined;
  #port = 0;
  #serial = 0;

  constructor(site: ClusterSite, random: () => number) {
    this.#site = site;
    this.#random = random;
  }

  /** One random write; a site that does not answer is let be. */
  async step(places: readonly Place[]): Promise<void> {
    const place = this.#pick(places);
    const kind = this.#random();
    try {
      if (kind < 0.55) await this.#note(place, await this.send({ ...place, method: 'PUT', body: this.#body() }));
      else if (kind < 0.75) await this.#note(place, await this.send({ ...place, method: 'DELETE' }));
      else if (kind < 0.83) await this.#note(place, await this.#tag(place));
      else if (kind < 0.91) await this.#note(place, await this.#copy(place, this.#pick(places)));
      else await this.#note(place, await this.#multipart(place));
    } catch {
      // killed or restarting: the outcome is not known, and nothing is owed
      this.close();
    }
  }

  async list(bucket: string, query: string): Promise<string> {
    const answer = await this.send({ method: 'GET', bucket, key: '', query });
    if (answer.status !== 200)
      throw new Error(`${this.#site.name}: listing answers ${answer.status}: ${answer.body.toString('utf8')}`);
    return answer.body.toString('utf8');
  }

  /** SHA-256 of an object's bytes and its tags, or the statuses of the refusals. */
  async digest(place: Place): Promise<string> {
    const answer = await this.send({ ...place, method: 'GET' });
    const tags = await this.send({ ...place, method: 'GET', query: 'tagging=' });
    const bytes = answer.status === 200 ? sha256Hex(answer.body) : String(answer.status);
    return `${bytes} ${tags.status === 200 ? tags.body.toString('utf8') : tags.status}`;
  }

  send({ method, bucket, key, query = '', headers = '', body }: Request): Promise<Answer> {
    const port = this.#site.port();
    if (!this.#connection || this.#port !== port) {
      this.close();
      this.#connection = new Connection(port, '127.0.0.1', BODY_MAX_BYTES);
      this.#port = port;
    }
    const path = key === '' ? `/${bucket}` : `/${bucket}/${key}`;
    const signer = new Signer(CREDENTIALS, `127.0.0.1:${port}`);
    const signed = signer.headers(method, path, query, body ? sha256Hex(body) : EMPTY_SHA256);
    return this.#connection.request(method, query === '' ? path : `${path}?${query}`, signed + headers, body);
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)] as T;
  }

  #body(): Buffer {
    return Buffer.alloc(this.#pick(SIZES), `${this.#site.name} ${++this.#serial} `);
  }

  #tag(place: Place): Promise<Answer> {
    const tags = `<Tagging><TagSet><Tag><Key>by</Key><Value>${this.#site.name}-${++this.#serial}</Value></Tag></TagSet></Tagging>`;
    return this.send({ ...place, method: 'PUT', query: 'tagging=', body: Buffer.from(tags) });
  }

  #copy(place: Place, source: Place): Promise<Answer> {
    const headers = `x-amz-copy-source: /${source.bucket}/${source.key}\r\nx-amz-metadata-directive: REPLACE\r\n`;
    return this.send({ ...place, method: 'PUT', headers });
  }

  async #multipart(place: Place): Promise<Answer> {
    const begun = await this.send({ ...place, method: 'POST', query: 'uploads=', body: Buffer.alloc(0) });
    const uploadId = encodeURIComponent(/<UploadId>([^<]+)/.exec(begun.body.toString('utf8'))?.[1] ?? '');
    const part = await this.send({
      ...place,
      method: 'PUT',
      query: `partNumber=1&uploadId=${uploadId}`,
      body: this.#body(),
    });
    const listed = `<Part><PartNumber>1</PartNumber><ETag>${headerOf(part, 'etag') ?? ''}</ETag></Part>`;
    const body = Buffer.from(`<CompleteMultipartUpload>${listed}</CompleteMultipartUpload>`);
    return this.send({ ...place, method: 'POST', query: `uploadId=${uploadId}`, body });
  }

  async #note({ bucket, key }: Place, answer: Answer): Promise<void> {
    const causality = headerOf(answer, 'x-skerry-causality');
    if (answer.status >= 300 || causality === undefined) return;
    const etag = headerOf(answer, 'etag') ?? /<ETag>([^<]+)/.exec(answer.body.toString('utf8'))?.[1];
    this.acknowledged.push({
      site: this.#site.name,
      bucket,
      key,
      etag: etag?.replaceAll(/"|&quot;/g, ''),
      causality,
    });
  }
}

function headerOf({ headers }: Answer, name: string): string | undefined {
  return new RegExp(`\\r\\n${name}: *([^\\r]+)`, 'i').exec(headers)?.[1];
}
