/** What happened, as canonical lines and their SHA-256: two runs of one seed must give the same. */
import { createHash } from 'node:crypto';

const FLUSH_CHARS = 16 * 1024;

export class Trace {
  readonly #hash = createHash('sha256');
  readonly #kept: string[] | undefined;
  #pending = '';

  /** `keep`: lines stay readable, for a person who looks into one seed. */
  constructor({ keep = false }: { readonly keep?: boolean } = {}) {
    this.#kept = keep ? [] : undefined;
  }

  line(text: string): void {
    this.#kept?.push(text);
    this.#pending += `${text}\n`;
    if (this.#pending.length >= FLUSH_CHARS) this.#flush();
  }

  lines(): readonly string[] {
    return this.#kept ?? [];
  }

  /** Hex. Ends the trace. */
  digest(): string {
    this.#flush();
    return this.#hash.digest('hex');
  }

  #flush(): void {
    this.#hash.update(this.#pending);
    this.#pending = '';
  }
}
