/** The sorted map against a naive one, with blocks small and large, and snapshots in between. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { SortedMap, type SortedView } from '../../../plugins/meta-memory/sorted-map.ts';

const value = (text: string): Uint8Array => new TextEncoder().encode(text);

function entriesOf(view: SortedView): [string, string][] {
  return view.scan({}, 1_000_000, false).map((entry) => [entry.key, new TextDecoder().decode(entry.value)]);
}

function sorted(model: ReadonlyMap<string, string>): [string, string][] {
  return [...model].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

test('thousands of inserts and deletes in any order keep order, size and every snapshot', () => {
  const step = fc.record({ key: fc.nat(3000), remove: fc.boolean(), run: fc.constantFrom(1, 1, 400) });
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const map = new SortedMap();
    const model = new Map<string, string>();
    const cuts: [SortedView, [string, string][]][] = [];
    for (const [index, { key, remove, run }] of steps.entries()) {
      if (index % 7 === 3) cuts.push([map.snapshot(), sorted(model)]);
      for (let offset = 0; offset < run; offset++) {
        const name = String.fromCharCode((key + offset) >> 8, (key + offset) & 255);
        if (remove) map.delete(name);
        else map.set(name, value(String(index)));
        if (remove) model.delete(name);
        else model.set(name, String(index));
      }
    }
    assert.deepEqual(map.problems(), []);
    assert.equal(map.size, model.size);
    assert.deepEqual(entriesOf(map), sorted(model));
    for (const [view, expected] of cuts) assert.deepEqual(entriesOf(view), expected);
  });
  fc.assert(property, { seed: 11, numRuns: 60 });
});

test('scans across many blocks keep bounds, limit and direction', () => {
  const map = new SortedMap();
  const name = (index: number): string => String(index).padStart(6, '0');
  for (let index = 0; index < 20_000; index++) map.set(name((index * 7919) % 20_000), value(''));
  const keys = (from: number, to: number, limit: number, reverse: boolean): number[] =>
    map.scan({ from: name(from), to: name(to) }, limit, reverse).map(({ key }) => Number(key));
  assert.deepEqual(keys(700, 703, 10, false), [700, 701, 702]);
  assert.deepEqual(keys(700, 703, 2, true), [702, 701]);
  assert.equal(keys(0, 20_000, 20_000, false).length, 20_000);
  assert.deepEqual(keys(0, 20_000, 20_000, true), keys(0, 20_000, 20_000, false).toReversed());
  for (let index = 0; index < 20_000; index++) if (index % 1000 !== 0) map.delete(name(index));
  assert.deepEqual(map.problems(), []);
  assert.deepEqual(keys(500, 3500, 10, true), [3000, 2000, 1000]);
});
