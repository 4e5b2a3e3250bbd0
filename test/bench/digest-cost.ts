/** A child of the replication benchmark: prints CPU microseconds an op that a replica applies costs, with or (`--without`) without the digest. */
import { plant } from '../../harness/mutations/loader.ts';

const OPS = 20_000;
const BATCH = 500;

if (process.argv.includes('--without'))
  plant({
    name: 'withoutDigest',
    file: 'core/engine/key-state.ts',
    find: 'this.#digest = toggled(this.#digest, versionDigest(this.#bucket, this.#key, version, isLive));',
    replace: '',
  });

const { Author, content } = await import('../engine/support.ts');
const { wholeSite } = await import('../engine/whole-site.ts');

await using site = await wholeSite();
const author = new Author('author');
const ops = Array.from({ length: OPS }, (_, i) => {
  const body = { bucket: 'bucket', key: `key-${i}`, nullVersion: true, marker: false, owner: 'o', modifiedAtMs: i };
  return author.write({ type: 'version.put', ...body, content: { ...content(''), manifest: [] } });
});
const costs: number[] = [];
for (let at = 0; at < OPS; at += BATCH) {
  const before = process.cpuUsage();
  await site.engine.replica.apply(ops.slice(at, at + BATCH).map((op) => ({ op })));
  const { user, system } = process.cpuUsage(before);
  costs.push((user + system) / BATCH);
}
// what is compiled at first use is no steady state
const steady = costs.slice(costs.length / 2).toSorted((a, b) => a - b);
console.log(steady[steady.length >> 1]);
