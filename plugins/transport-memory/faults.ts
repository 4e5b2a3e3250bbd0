import { SkerryError } from '../../core/contracts/index.ts';

/**
 * A failure of the serving side as the caller gets it: code, message, retryable and what JSON can carry of the details, as
 * over a wire; never the object itself, its stack or its cause.
 */
export function fault(error: unknown): SkerryError {
  if (!(error instanceof SkerryError)) return new SkerryError('Internal', 'the peer failed to answer the call');
  const details = JSON.parse(JSON.stringify(error.details)) as Readonly<Record<string, unknown>>;
  return new SkerryError(error.code, error.message, { retryable: error.retryable, details });
}
