/** The load generator: a process of its own that runs one scenario's rounds as the driver tells it over IPC. */
import { randomBytes, randomFillSync } from 'node:crypto';
import { Connection, type Answer } from './connection.ts';
import { PART_BYTES, type RoundResult, type Scenario } from './scenarios.ts';
import { EMPTY_SHA256, Signer, sha256Hex, type Credentials } from './signer.ts';

export interface GeneratorStart {
  readonly port: number;
  readonly bucket: string;
  readonly credentials: Credentials;
}

export type GeneratorCommand =
  | { readonly kind: 'start'; readonly start: GeneratorStart }
  | { readonly kind: 'preload'; readonly scenario: Scenario; readonly prefix: string }
  | { readonly kind: 'round'; readonly scenario: Scenario; readonly prefix: string };

const HOST = '127.0.0.1';
/** Smaller bodies are stored for each version alone. */
const UNIQUE_MIN_BYTES = 64 * 1024;

interface SignedBody {
  readonly bytes: Buffer;
  readonly sha256: string;
}

class Load {
  readonly #start: GeneratorStart;
  readonly #signer: Signer;
  readonly #random = randomBytes(65_536);
  readonly #bodies = new WeakMap<Connection, Map<number, SignedBody>>();

  constructor(start: GeneratorStart) {
    this.#start = start;
    this.#signer = new Signer(start.credentials, `${HOST}:${start.port}`);
  }

  connect(): Connection {
    return new Connection(this.#start.port, HOST);
  }

  async send(
    connection: Connection,
    method: string,
    key: string,
    query = '',
    size = 0,
    isUnique = false,
  ): Promise<Answer> {
    const path = `/${this.#start.bucket}${key === '' ? '' : `/${key}`}`;
    const body = size > 0 ? this.#body(connection, size, isUnique) : undefined;
    const answer = await connection.request(
      method,
      query === '' ? path : `${path}?${query}`,
      this.#signer.headers(method, path, query, body?.sha256 ?? EMPTY_SHA256),
      body?.bytes ?? (method === 'POST' || method === 'PUT' ? Buffer.alloc(0) : undefined),
    );
    if (answer.status >= 300)
      throw new Error(`${method} ${path}?${query}: ${answer.status} ${answer.body.toString('utf8').slice(0, 300)}`);
    return answer;
  }

  async sendText(connection: Connection, key: string, query: string, text: string): Promise<Answer> {
    const body = Buffer.from(text);
    const path = `/${this.#start.bucket}/${key}`;
    const answer = await connection.request(
      'POST',
      `${path}?${query}`,
      this.#signer.headers('POST', path, query, sha256Hex(body)),
      body,
    );
    if (answer.status >= 300)
      throw new Error(`POST ${path}?${query}: ${answer.status} ${answer.body.toString('utf8').slice(0, 300)}`);
    return answer;
  }

  /** Content that nobody has sent before, so that nothing large is deduplicated; a connection's buffer is its own. */
  #body(connection: Connection, size: number, isUnique: boolean): SignedBody {
    const bodies = this.#bodies.get(connection) ?? new Map<number, SignedBody>();
    this.#bodies.set(connection, bodies);
    const known = bodies.get(size);
    if (known && size < UNIQUE_MIN_BYTES && !isUnique) return known;
    const bytes = known?.bytes ?? Buffer.alloc(size, this.#random.subarray(0, Math.min(size, this.#random.length)));
    if (isUnique) randomFillSync(bytes);
    else if (size >= UNIQUE_MIN_BYTES) for (let at = 0; at < size; at += UNIQUE_MIN_BYTES) randomFillSync(bytes, at, 8);
    const body = { bytes, sha256: sha256Hex(bytes) };
    bodies.set(size, body);
    return body;
  }

  async run(connection: Connection, scenario: Scenario, prefix: string, index: number): Promise<void> {
    const { verb, sizeBytes, preload } = scenario;
    switch (verb) {
      case 'PUT':
        return void (await this.send(connection, 'PUT', `${prefix}${index}`, '', sizeBytes, scenario.isUnique));
      case 'LIST':
        return void (await this.send(
          connection,
          'GET',
          '',
          `list-type=2&max-keys=1000&prefix=${encodeURIComponent(prefix)}`,
        ));
      case 'MULTIPART':
        return this.#multipart(connection, `${prefix}${index}`, sizeBytes);
      default:
        return void (await this.send(connection, verb, `${prefix}${index % preload}`));
    }
  }

  async #multipart(connection: Connection, key: string, size: number): Promise<void> {
    const created = await this.send(connection, 'POST', key, 'uploads=');
    const uploadId = encodeURIComponent(/<UploadId>([^<]+)/.exec(created.body.toString('utf8'))?.[1] ?? '');
    const parts: string[] = [];
    for (let number = 1; (number - 1) * PART_BYTES < size; number++) {
      const part = await this.send(
        connection,
        'PUT',
        key,
        `partNumber=${number}&uploadId=${uploadId}`,
        Math.min(PART_BYTES, size),
      );
      parts.push(
        `<Part><PartNumber>${number}</PartNumber><ETag>${/\r\netag: *(\S+)/i.exec(part.headers)?.[1] ?? ''}</ETag></Part>`,
      );
    }
    await this.sendText(
      connection,
      key,
      `uploadId=${uploadId}`,
      `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`,
    );
  }
}

/** Runs `count` calls on `concurrency` connections; answers each call's milliseconds. */
async function spread(
  load: Load,
  concurrency: number,
  count: number,
  call: (connection: Connection, index: number) => Promise<void>,
): Promise<{ readonly times: number[]; readonly errors: number }> {
  const times: number[] = [];
  let next = 0;
  let errors = 0;
  const worker = async (): Promise<void> => {
    let connection = load.connect();
    while (next < count) {
      const index = next++;
      const began = performance.now();
      try {
        await call(connection, index);
        times.push(performance.now() - began);
      } catch (error) {
        if (errors++ === 0) process.stderr.write(`load generator: ${String(error)}\n`);
        connection.close();
        connection = load.connect();
      }
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return { times, errors };
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

async function round(load: Load, scenario: Scenario, prefix: string): Promise<RoundResult> {
  const began = performance.now();
  const { times, errors } = await spread(load, scenario.concurrency, scenario.operations, (connection, index) =>
    load.run(connection, scenario, prefix, index),
  );
  const seconds = (performance.now() - began) / 1000;
  const sorted = times.toSorted((a, b) => a - b);
  return { operations: times.length, seconds, p50Ms: percentile(sorted, 0.5), p99Ms: percentile(sorted, 0.99), errors };
}

let load: Load | undefined;
process.on('message', (command: GeneratorCommand) => {
  void (async () => {
    if (command.kind === 'start') load = new Load(command.start);
    const current = load as Load;
    if (command.kind === 'preload') {
      const { scenario, prefix } = command;
      const { errors } = await spread(current, 16, scenario.preload, (connection, index) =>
        current.send(connection, 'PUT', `${prefix}${index}`, '', scenario.sizeBytes).then(() => undefined),
      );
      if (errors > 0) throw new Error(`${errors} objects could not be stored beforehand`);
    }
    const result = command.kind === 'round' ? await round(current, command.scenario, command.prefix) : undefined;
    process.send?.({ ok: true, result });
  })().catch((error: unknown) => process.send?.({ ok: false, error: String(error) }));
});
