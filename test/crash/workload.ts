/**
 * Clients that write to keys of their own and remember what was acknowledged. After a crash each key must show exactly the
 * last acknowledged state, or that of the one request whose answer never came.
 */
import { createHash } from 'node:crypto';
import { Connection, type Answer } from '../bench/connection.ts';
import { EMPTY_SHA256, Signer, sha256Hex } from '../bench/signer.ts';
import { CREDENTIALS } from './site-process.ts';

/** SHA-256 of the object's bytes; `undefined`: there is no object. */
export type KeyState = string | undefined;

interface Tracked {
  acknowledged: KeyState;
  /** State after the request that is on its way. */
  inFlight?: { readonly next: KeyState };
}

const SIZES = [0, 1, 4096, 4096, 65_536, 65_537, 300_000, 2_000_000] as const;
const PART_BYTES = 5 * 1024 * 1024;
const MULTIPART_SHARE = 0.06;
const DELETE_SHARE = 0.2;

/** Small deterministic generator (mulberry32), so that a seed names a run. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Workload {
  readonly tracked = new Map<string, Tracked>();
  readonly #random: () => number;
  readonly #bucket: string;
  acknowledgedCalls = 0;
  /** Answers that no healthy site gives. */
  readonly unexpected: string[] = [];
  #serial = 0;

  constructor(random: () => number, bucket: string) {
    this.#random = random;
    this.#bucket = bucket;
  }

  /** Runs clients until every one of them has lost its connection. */
  async runUntilBroken(port: number, clients: number): Promise<void> {
    await Promise.all(Array.from({ length: clients }, (_, client) => this.#client(port, client)));
  }

  /** Compares what the site shows with what it owes; answers the faults, and takes what it shows as the new truth. */
  async verify(port: number): Promise<readonly string[]> {
    const connection = new Connection(port, '127.0.0.1', 2 * PART_BYTES);
    const faults: string[] = [];
    const listed = await this.#listAll(connection, port);
    for (const [key, state] of this.tracked) {
      const answer = await this.#send(connection, port, 'GET', key);
      const shown: KeyState =
        answer.status === 404 ? undefined : createHash('sha256').update(answer.body).digest('hex');
      if (answer.status !== 200 && answer.status !== 404) faults.push(`${key}: GET answers ${answer.status}`);
      const allowed = state.inFlight ? [state.acknowledged, state.inFlight.next] : [state.acknowledged];
      if (!allowed.includes(shown))
        faults.push(`${key}: shows ${shown ?? 'nothing'}, owes ${allowed.map((one) => one ?? 'nothing').join(' or ')}`);
      if (listed.has(key) !== (shown !== undefined)) faults.push(`${key}: listing and GET disagree`);
      this.tracked.set(key, { acknowledged: shown });
    }
    for (const key of listed) if (!this.tracked.has(key)) faults.push(`${key}: listed, but nobody wrote it`);
    connection.close();
    return faults;
  }

  async #client(port: number, client: number): Promise<void> {
    const connection = new Connection(port, '127.0.0.1', 2 * PART_BYTES);
    try {
      for (;;) await this.#step(connection, port, `client-${client}/key-${Math.floor(this.#random() * 12)}`);
    } catch (error) {
      // The site was killed: what was on its way stays in flight until `verify`.
      if (error instanceof UnexpectedAnswer) this.unexpected.push(error.message);
      connection.close();
    }
  }

  async #step(connection: Connection, port: number, key: string): Promise<void> {
    const state = this.tracked.get(key) ?? { acknowledged: undefined };
    this.tracked.set(key, state);
    const kind = this.#random();
    if (kind < DELETE_SHARE) {
      state.inFlight = { next: undefined };
      mustBe(await this.#send(connection, port, 'DELETE', key), 204);
    } else if (kind < DELETE_SHARE + MULTIPART_SHARE) {
      await this.#multipart(connection, port, key, state);
    } else {
      const body = this.#body(SIZES[Math.floor(this.#random() * SIZES.length)] ?? 0);
      state.inFlight = { next: sha256Hex(body) };
      mustBe(await this.#send(connection, port, 'PUT', key, '', body), 200);
    }
    if (state.inFlight) state.acknowledged = state.inFlight.next;
    delete state.inFlight;
    this.acknowledgedCalls++;
  }

  async #multipart(connection: Connection, port: number, key: string, state: Tracked): Promise<void> {
    const created = mustBe(await this.#send(connection, port, 'POST', key, 'uploads=', Buffer.alloc(0)), 200);
    const uploadId = encodeURIComponent(/<UploadId>([^<]+)/.exec(created.body.toString('utf8'))?.[1] ?? '');
    const bodies = [this.#body(PART_BYTES), this.#body(70_000)];
    const parts: string[] = [];
    for (const [i, body] of bodies.entries()) {
      const part = mustBe(
        await this.#send(connection, port, 'PUT', key, `partNumber=${i + 1}&uploadId=${uploadId}`, body),
        200,
      );
      parts.push(
        `<Part><PartNumber>${i + 1}</PartNumber><ETag>${/\r\netag: *(\S+)/i.exec(part.headers)?.[1] ?? ''}</ETag></Part>`,
      );
    }
    state.inFlight = { next: sha256Hex(Buffer.concat(bodies)) };
    const text = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`);
    mustBe(await this.#send(connection, port, 'POST', key, `uploadId=${uploadId}`, text), 200);
  }

  #body(size: number): Buffer {
    const label = Buffer.from(`body ${++this.#serial} `);
    const body = Buffer.alloc(size);
    for (let at = 0; at < size; at += label.length) label.copy(body, at);
    return body;
  }

  async #listAll(connection: Connection, port: number): Promise<ReadonlySet<string>> {
    const answer = mustBe(await this.#send(connection, port, 'GET', '', 'list-type=2&max-keys=1000'), 200);
    return new Set([...answer.body.toString('utf8').matchAll(/<Key>([^<]+)/g)].map((match) => match[1] ?? ''));
  }

  #send(connection: Connection, port: number, method: string, key: string, query = '', body?: Buffer): Promise<Answer> {
    const path = key === '' ? `/${this.#bucket}` : `/${this.#bucket}/${key}`;
    const signer = new Signer(CREDENTIALS, `127.0.0.1:${port}`);
    const hash = body ? sha256Hex(body) : EMPTY_SHA256;
    return connection.request(
      method,
      query === '' ? path : `${path}?${query}`,
      signer.headers(method, path, query, hash),
      body,
    );
  }
}

class UnexpectedAnswer extends Error {}

function mustBe(answer: Answer, status: number): Answer {
  if (answer.status !== status)
    throw new UnexpectedAnswer(`expected ${status}, got ${answer.status}: ${answer.body.toString('utf8')}`);
  return answer;
}
