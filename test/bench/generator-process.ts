/** The load generator as the driver holds it. */
import { fork } from 'node:child_process';
import type { GeneratorCommand } from './generator.ts';
import type { RoundResult } from './scenarios.ts';
import type { BenchServer } from './server.ts';

export const BUCKET = 'bench';

export interface Generator {
  tell(command: GeneratorCommand): Promise<RoundResult | undefined>;
  stop(): void;
}

interface GeneratorAnswer {
  readonly ok: boolean;
  readonly result?: RoundResult;
  readonly error?: string;
}

export async function startGenerator({
  port,
  credentials,
}: Pick<BenchServer, 'port' | 'credentials'>): Promise<Generator> {
  const child = fork(new URL('./generator.ts', import.meta.url).pathname);
  const generator: Generator = {
    tell: (command) =>
      new Promise((resolve, reject) => {
        child.once('message', (answer: GeneratorAnswer) =>
          answer.ok ? resolve(answer.result) : reject(new Error(answer.error)),
        );
        child.send(command);
      }),
    stop: () => child.disconnect(),
  };
  await generator.tell({ kind: 'start', start: { port, bucket: BUCKET, credentials } });
  return generator;
}
