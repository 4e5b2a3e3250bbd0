/**
 * What a site wrote as another origin and may lack: it comes back from peers, as any origin's ops do. Until it is here no write is
 * accepted (rule 12): it would come beside what this site had accepted before, in place of after it.
 */
import type { Logger, Origin, VersionVector } from '../contracts/index.ts';
import type { Engine } from '../engine/engine.ts';
import { seqOf } from '../engine/vector.ts';
import type { DataDirectory, MissingPast } from './data-directory.ts';

export interface PastDeps {
  readonly directory: Pick<DataDirectory, 'missing' | 'setMissing'>;
  readonly engine: Pick<Engine, 'vector'>;
  readonly logger: Logger;
  /** Why writes have to wait; `undefined`: they need not any more. */
  readonly onWait: (reason: string | undefined) => void;
}

export class Past {
  readonly #deps: PastDeps;
  readonly #claims = new Map<Origin, number>();
  #looking: Promise<void> = Promise.resolve();
  #isDue = false;
  #isGreeted = false;

  constructor(deps: PastDeps) {
    this.#deps = deps;
  }

  /** Every peer within reach was asked: what the one claimed that has most counts from now on, not what the first one did. */
  greeted(): void {
    this.#isGreeted = true;
    this.look();
  }

  /** A peer has these ops. */
  claimed(vector: VersionVector): void {
    for (const origin of Object.keys(this.#deps.directory.missing))
      this.#claims.set(origin, Math.max(seqOf(vector, origin), this.#claims.get(origin) ?? 0));
    this.look();
  }

  /** Something was committed, or claimed. Costs nothing where nothing is missing. */
  look(): void {
    if (this.#isDue || Object.keys(this.#deps.directory.missing).length === 0) return;
    this.#isDue = true;
    this.#looking = this.#looking
      .then(() => this.#look())
      .catch((error: unknown) => this.#deps.logger.error({ err: error }, 'what is missing could not be recorded'));
  }

  /** Up to which `seq` of which origins, as far as it is known. */
  lacking(): VersionVector {
    const known = Object.entries(this.#deps.directory.missing).filter(([, seq]) => seq !== null);
    return Object.fromEntries(known) as VersionVector;
  }

  /** Whatever was begun is done. */
  settled(): Promise<void> {
    return this.#looking;
  }

  async #look(): Promise<void> {
    this.#isDue = false;
    const { directory, engine, logger, onWait } = this.#deps;
    const { missing } = directory;
    const vector = await engine.vector();
    const rest = this.#rest(missing, vector);
    const lacking = Object.entries(rest).flatMap(([origin, seq]) => (seq === null ? [] : [{ origin, seq }]));
    if (lacking.length > 0)
      onWait(lacking.map(({ origin, seq }) => waiting(origin, seqOf(vector, origin), seq)).join('; '));
    if (JSON.stringify(rest) !== JSON.stringify(missing)) await directory.setMissing(rest);
    if (lacking.length > 0) return;
    onWait(undefined);
    if (Object.keys(rest).length === 0) logger.info({ was: missing }, 'everything that this site wrote before is here');
  }

  /** What peers say counts where nobody could be asked before; what was recorded then does not grow. */
  #rest(missing: MissingPast, vector: VersionVector): MissingPast {
    const rest: Record<Origin, number | null> = {};
    for (const [origin, recorded] of Object.entries(missing)) {
      const claimed = this.#isGreeted ? this.#claims.get(origin) : undefined;
      const seq = recorded ?? claimed ?? null;
      if (seq === null || seqOf(vector, origin) < seq) rest[origin] = seq;
    }
    return rest;
  }
}

const waiting = (origin: Origin, seq: number, of: number): string =>
  `it takes back from peers what was written as ${origin}: ${seq} of ${of} ops are here`;
