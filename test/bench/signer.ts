/** SigV4 for the load generator: as cheap as it can be, so that the generator is not what is measured. */
import { createHash, createHmac, createSecretKey, type KeyObject } from 'node:crypto';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretKey: string;
}

export const EMPTY_SHA256 = createHash('sha256').digest('hex');
const REGION = 'us-east-1';

export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export class Signer {
  readonly #credentials: Credentials;
  readonly #host: string;
  #day = '';
  #key: KeyObject | undefined;

  constructor(credentials: Credentials, host: string) {
    this.#credentials = credentials;
    this.#host = host;
  }

  /** Header lines of a signed request. `path` and `query` are already encoded, query parameters sorted. */
  headers(method: string, path: string, query: string, payloadSha256: string): string {
    const date = `${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
    const day = date.slice(0, 8);
    const scope = `${day}/${REGION}/s3/aws4_request`;
    const names = 'host;x-amz-content-sha256;x-amz-date';
    const canonical = `${method}\n${path}\n${query}\nhost:${this.#host}\nx-amz-content-sha256:${payloadSha256}\nx-amz-date:${date}\n\n${names}\n${payloadSha256}`;
    const toSign = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256Hex(Buffer.from(canonical))}`;
    const signature = createHmac('sha256', this.#signingKey(day)).update(toSign).digest('hex');
    return (
      `host: ${this.#host}\r\nx-amz-date: ${date}\r\nx-amz-content-sha256: ${payloadSha256}\r\n` +
      `authorization: AWS4-HMAC-SHA256 Credential=${this.#credentials.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}\r\n`
    );
  }

  #signingKey(day: string): KeyObject {
    if (this.#key && this.#day === day) return this.#key;
    const chain = [day, REGION, 's3', 'aws4_request'];
    const key = chain.reduce<Buffer>(
      (last, part) => createHmac('sha256', last).update(part).digest(),
      Buffer.from(`AWS4${this.#credentials.secretKey}`),
    );
    this.#day = day;
    this.#key = createSecretKey(key);
    return this.#key;
  }
}
