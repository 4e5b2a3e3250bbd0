/** The naive meta-store that every other is compared with: a list per space, sorted anew for each scan. */
import { type MetaKey, type MetaRange, type MetaRow, type MetaWrite } from '../../../core/contracts/index.ts';

export class MetaModel {
  readonly #rows: Map<string, MetaRow & MetaKey>;

  constructor(rows: ReadonlyMap<string, MetaRow & MetaKey> = new Map()) {
    this.#rows = new Map(rows);
  }

  get(keys: readonly MetaKey[]): (Uint8Array | undefined)[] {
    return keys.map((key) => this.#rows.get(nameOf(key))?.value);
  }

  scan({ space, from, to, limit, reverse }: MetaRange): MetaRow[] {
    const rows = [...this.#rows.values()]
      .filter((row) => row.space === space)
      .filter(({ key }) => from === undefined || Buffer.compare(key, from) >= 0)
      .filter(({ key }) => to === undefined || Buffer.compare(key, to) < 0)
      .sort((a, b) => Buffer.compare(a.key, b.key));
    if (reverse === true) rows.reverse();
    return rows.slice(0, limit).map(({ key, value }) => ({ key, value }));
  }

  apply(writes: readonly MetaWrite[]): void {
    for (const { space, key, value } of writes) {
      if (value === undefined) this.#rows.delete(nameOf({ space, key }));
      else this.#rows.set(nameOf({ space, key }), { space, key, value });
    }
  }

  copy(): MetaModel {
    return new MetaModel(this.#rows);
  }
}

function nameOf({ space, key }: MetaKey): string {
  return `${space}/${Buffer.from(key).toString('hex')}`;
}
