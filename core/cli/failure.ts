/** How a command fails: one clear sentence, a hint, an exit code. */
import { isSkerryError, type ErrorCode } from '../contracts/index.ts';
import type { Terminal } from './terminal.ts';

/** 0: done; 1: it did not work; 2: the command line or the configuration is wrong. */
export const EXIT = { ok: 0, failure: 1, usage: 2 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The command line is wrong. */
export class UsageError extends Error {
  readonly hint: string;

  constructor(message: string, hint = 'skerry --help lists the commands') {
    super(message);
    this.name = 'UsageError';
    this.hint = hint;
  }
}

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

const HINTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  Locked: 'stop that process first, or give another --data-dir',
  BucketNotEmpty: 'skerry bucket delete <name> --force removes its objects too',
  OutOfSpace: 'free some space on the volume of the data directory',
};

/** Tells what went wrong on standard error; answers the exit code. */
export function report(error: unknown, json: boolean, terminal: Terminal): ExitCode {
  const failure = failureOf(error);
  if (json) terminal.err(JSON.stringify(failure));
  else {
    terminal.err(`skerry: ${failure.message.includes('\n') ? `\n${indent(failure.message)}` : failure.message}`);
    if (failure.hint !== undefined) terminal.err(`hint: ${failure.hint}`);
  }
  const isUsage = error instanceof UsageError || isSkerryError(error, 'InvalidConfig');
  return isUsage ? EXIT.usage : EXIT.failure;
}

function failureOf(error: unknown): Failure {
  if (error instanceof UsageError) return { code: 'Usage', message: error.message, hint: error.hint };
  if (!isSkerryError(error)) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { code: 'Internal', message, hint: 'this is a fault of Skerry: please report it with these lines' };
  }
  const { code, message, details } = error;
  const hint = typeof details['hint'] === 'string' ? details['hint'] : HINTS[code];
  return { code, message, ...(hint === undefined ? {} : { hint }), details };
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}
