/**
 * Causal reads with the AWS SDK: what you wrote at one site you read at any other, or get a 503 that the SDK repeats, never something older.
 *
 * Every answer to a write carries `x-skerry-causality`, a token of the state that includes the write. Whoever sends the token with a request, to any
 * site, is answered from a state that includes it. Share one `CausalSession` among the clients of one user; hand `session.token` on with whatever
 * makes others read (a message, a redirect, a row in a database), and they `observe` it.
 *
 *     const session = new CausalSession();
 *     for (const client of [warsaw, berlin]) session.attach(client);
 *     await warsaw.send(new PutObjectCommand({ Bucket: 'photos', Key: 'cat.jpg', Body }));
 *     await berlin.send(new GetObjectCommand({ Bucket: 'photos', Key: 'cat.jpg' })); // that cat, wherever it was written
 *
 * Not for presigned links: the token would become a header that whoever opens the link has to send.
 */
import type { S3Client } from '@aws-sdk/client-s3';

const HEADER = 'x-skerry-causality';

interface HttpMessage {
  readonly headers: Record<string, string>;
}

export class CausalSession {
  #token: string | undefined;

  get token(): string | undefined {
    return this.#token;
  }

  /** Takes over what somebody else has seen. A later token of the same site includes the earlier ones. */
  observe(token: string | undefined): void {
    this.#token = merge(this.#token, token);
  }

  /** Makes a client send the token with every request and learn from every answer. */
  attach(client: S3Client): void {
    client.middlewareStack.add(
      (next) => async (args) => {
        const request = args.request as HttpMessage;
        if (this.#token !== undefined) request.headers[HEADER] = this.#token;
        const result = await next(args);
        this.observe((result.response as HttpMessage).headers[HEADER]);
        return result;
      },
      // Before the signature is made, so that it covers the header.
      { step: 'build', name: 'skerryCausality' },
    );
  }
}

/** Tokens are opaque to most programs; a session that talks to several sites keeps the newest of each, as the server does. */
function merge(known: string | undefined, seen: string | undefined): string | undefined {
  if (known === undefined || seen === undefined) return known ?? seen;
  const merged: Record<string, number> = vectorOf(known);
  for (const [site, count] of Object.entries(vectorOf(seen))) merged[site] = Math.max(merged[site] ?? 0, count);
  return Buffer.from(JSON.stringify(merged)).toString('base64url');
}

function vectorOf(token: string): Record<string, number> {
  return JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as Record<string, number>;
}
