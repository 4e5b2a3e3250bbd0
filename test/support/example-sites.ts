/** The sites of one folder of examples/configs as processes, on ports of their own, prepared with the commands that their comments give. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { S3Client } from '@aws-sdk/client-s3';

import { CausalSession } from '../../docs/examples/causal-reads.ts';
import { scratch, serveAsConfigured, type Serving } from '../cli/command.ts';
import { shell } from '../cli/shell.ts';
import { moveToFreePorts } from './free-ports.ts';
import { rootCredentials } from './root-credentials.ts';

export const EXAMPLES = fileURLToPath(new URL('../../examples/configs/', import.meta.url));
const COMMAND = /^#.*?((?:openssl|head -c) .+)$/gm;

export interface ExampleSite {
  readonly name: string;
  /** In the example's directory. */
  readonly file: string;
  readonly dataDir: string;
  start(): Promise<void>;
  /** Gracefully. */
  stop(): Promise<void>;
  /** Signs with the root credentials of the site's first start; sends and learns causality tokens. */
  s3(): S3Client;
  /** The same without tokens: a client that knows only this site. */
  plainS3(): S3Client;
}

export interface Example {
  readonly cwd: string;
  site(name: string): ExampleSite;
  /** What all clients have seen. */
  readonly session: CausalSession;
  /** The address here of one that stands in the files. */
  addressOf(written: string): string;
  close(): Promise<void>;
}

/** Nothing runs yet. */
export async function openExample(folder: string): Promise<Example> {
  const { path: cwd, remove } = scratch();
  const names = readdirSync(join(EXAMPLES, folder)).sort();
  const texts = names.map((name) => readFileSync(join(EXAMPLES, folder, name), 'utf8'));
  for (const [i, name] of names.entries()) writeFileSync(join(cwd, name), texts[i] ?? '');
  const addressOf = await moveToFreePorts(cwd);
  await prepare(cwd, texts);
  const session = new CausalSession();
  const sites = names.map((file) => exampleSite(cwd, file, session));
  return {
    cwd,
    session,
    addressOf,
    site(name) {
      const found = sites.find((one) => one.name === name);
      assert.ok(found, `${folder} has no site ${name}`);
      return found;
    },
    async close() {
      await Promise.all(sites.map((site) => site.stop()));
      remove();
    },
  };
}

/** Keys and certificates, made as the comments say. */
async function prepare(cwd: string, texts: readonly string[]): Promise<void> {
  const commands = new Set(texts.flatMap((text) => [...text.matchAll(COMMAND)].map(([, command = '']) => command)));
  assert.ok(commands.size > 0, 'no file says how to make the key that the sites share');
  const { code, output } = await shell(['set -e', ...commands].join('\n'), cwd);
  assert.equal(code, 0, output);
}

function exampleSite(cwd: string, file: string, session: CausalSession): ExampleSite {
  const name = file.replace('.yaml', '');
  const dataDir = join(cwd, `data-${name}`);
  const clients: S3Client[] = [];
  let serving: Serving | undefined;
  const makeClient = (): S3Client => {
    assert.ok(serving, `${name} does not run`);
    // What is not there yet is 503, which the SDK tries again.
    const client = new S3Client({
      endpoint: serving.url,
      region: 'us-east-1',
      forcePathStyle: true,
      maxAttempts: 10,
      credentials: rootCredentials(dataDir),
    });
    clients.push(client);
    return client;
  };
  return {
    name,
    file,
    dataDir,
    async start() {
      serving = await serveAsConfigured({ cwd }, '-c', file);
    },
    async stop() {
      for (const client of clients.splice(0)) client.destroy();
      const [ending] = [serving];
      serving = undefined;
      if (ending !== undefined) assert.equal(await ending.end(), 0, ending.stderr());
    },
    s3() {
      const client = makeClient();
      session.attach(client);
      return client;
    },
    plainS3: makeClient,
  };
}
