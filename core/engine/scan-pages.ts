/** All rows of a range, one page of memory at a time. */
import type { MetaRange, MetaReader, MetaRow } from '../contracts/index.ts';
import { after } from './keys.ts';

/** Pages in key order, none of them empty. The next one is read when it is asked for, so rows may change in between. */
export async function* scanPages(
  reader: Pick<MetaReader, 'scan'>,
  range: MetaRange & { readonly reverse?: false },
): AsyncGenerator<readonly MetaRow[]> {
  let { from } = range;
  for (;;) {
    const rows = await reader.scan({ ...range, ...(from ? { from } : {}) });
    const last = rows.at(-1);
    if (last) yield rows;
    if (!last || rows.length < range.limit) return;
    from = after(last.key);
  }
}
