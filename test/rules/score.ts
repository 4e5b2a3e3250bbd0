/** `npm run rules:score`: runs each test of a rule with the bug planted that it must notice. Exits with 1 when one passes all the same. */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { ruleBreaks, type RuleBreak } from './breaks.ts';

const DIRECTORY = new URL('./', import.meta.url);
/** A test that hangs is stopped; what it did not say is no proof. */
const TIMEOUT_MS = 60_000;

export interface Verdict {
  readonly noticed: boolean;
  /** The failure, or what was seen in its place. */
  readonly why: string;
}

/** The file of a rule's tests. */
export function fileOf(rule: number): string {
  const prefix = `rule-${String(rule).padStart(2, '0')}-`;
  const [file, ...more] = readdirSync(DIRECTORY).filter((name) => name.startsWith(prefix));
  if (file === undefined || more.length > 0) throw new Error(`rule ${rule} must have one test file`);
  return fileURLToPath(new URL(file, DIRECTORY));
}

/** Noticed: exactly the named test ran, and it failed by itself, not for want of loading. */
export async function score({ rule, test, mutation }: RuleBreak): Promise<Verdict> {
  const pattern = `^${test.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}`;
  const args = ['--import', new URL('plant.ts', DIRECTORY).href, '--test-reporter=tap'];
  const output = await run([...args, `--test-name-pattern=${pattern}`, fileOf(rule)], mutation);
  const ran = [...output.matchAll(/^ +(ok|not ok) \d+ - (.*)$/gm)].filter(([, , name]) => name?.startsWith(test));
  const failed = ran.filter(([, result]) => result === 'not ok');
  if (ran.length !== 1) return { noticed: false, why: `${ran.length} tests of that name ran: ${output.slice(-2000)}` };
  return { noticed: failed.length === 1, why: failed.length === 1 ? messageOf(output) : 'the test passes' };
}

function run(args: readonly string[], mutation: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const env = { ...process.env, SKERRY_RULE_BREAK: mutation };
  // it would be taken for a test file of the runner that this runs in
  delete (env as Record<string, string | undefined>)['NODE_TEST_CONTEXT'];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: TIMEOUT_MS });
  const pieces: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => pieces.push(piece));
  child.once('error', reject);
  child.once('close', () => resolve(Buffer.concat(pieces).toString('utf8')));
  return promise;
}

function messageOf(output: string): string {
  const [, error = ''] = /^ +error: (.*(?:\n +.*){0,4})/m.exec(output) ?? [];
  return error.replaceAll(/\s+/g, ' ').slice(0, 120);
}

async function main(): Promise<void> {
  const only = process.argv[2];
  const chosen = ruleBreaks.filter(
    ({ mutation, rule }) => only === undefined || only === mutation || only === `${rule}`,
  );
  const queue = [...chosen];
  let survivors = 0;
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { noticed, why } = await score(next);
      if (!noticed) survivors++;
      const name = `rule ${next.rule}: ${next.mutation}`.padEnd(36);
      console.log(`${name} ${noticed ? 'noticed ' : 'SURVIVES'} ${next.test.slice(0, 40).padEnd(40)} ${why}`);
    }
  };
  await Promise.all([worker(), worker()]);
  console.log(`${chosen.length - survivors} of ${chosen.length} noticed`);
  if (survivors > 0) process.exitCode = 1;
}

if (import.meta.main) await main();
