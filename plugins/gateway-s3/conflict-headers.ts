/** What the answer to a GET or HEAD says of a key in conflict. */
import type { ObjectService, VersionInfo } from '../../core/contracts/index.ts';

/** A header has room for so many links; the listing of conflicts has all. */
const LINKS_MAX = 20;

/**
 * `x-skerry-conflict`, and, where the site's resolver shows the losers as siblings, a `link` to each (RFC 8288; the reference is relative to the
 * object's own address).
 */
export async function conflictHeaders(
  objects: Pick<ObjectService, 'listSiblings'>,
  { conflict, bucket, key }: Pick<VersionInfo, 'conflict' | 'bucket' | 'key'>,
): Promise<Readonly<Record<string, string>> | undefined> {
  if (!conflict) return undefined;
  const siblings = await objects.listSiblings({ bucket, key });
  const links = siblings.slice(0, LINKS_MAX).map((id) => `<?versionId=${encodeURIComponent(id)}>; rel="alternate"`);
  return { 'x-skerry-conflict': 'true', ...(links.length > 0 ? { link: links.join(', ') } : {}) };
}
