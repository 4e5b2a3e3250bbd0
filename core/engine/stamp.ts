/** Stamps, dots and version ids: three spellings of who wrote an op and when. */
import type { Dot, Hlc, Incarnation, Origin, SiteId, Stamp } from '../contracts/index.ts';

const SEQ_DIGITS = 10;
const PATTERN = /^(?:p[0-9a-f]{8})?[0-9a-f]{16}!([a-z0-9][a-z0-9-]{0,31})!([0-9a-f]{16})!([0-9a-f]{10})$/;

export function originOf(site: SiteId, incarnation: Incarnation): Origin {
  return `${site}.${incarnation}`;
}

const ORIGIN = /^[a-z0-9][a-z0-9-]{0,31}\.[0-9a-f]{16}$/;

export function isOrigin(text: string): text is Origin {
  return ORIGIN.test(text);
}

export function originSite(origin: Origin): SiteId {
  return origin.slice(0, origin.lastIndexOf('.'));
}

export function makeStamp(hlc: Hlc, origin: Origin, seq: number): Stamp {
  return `${hlc}!${origin.replace('.', '!')}!${seq.toString(16).padStart(SEQ_DIGITS, '0')}`;
}

export function stampHlc(stamp: Stamp): Hlc {
  return stamp.slice(0, stamp.indexOf('!'));
}

/** The dot of the op that carries this stamp. */
export function stampDot(stamp: Stamp): Dot {
  const end = stamp.length - SEQ_DIGITS - 1;
  const split = end - 17;
  return {
    origin: `${stamp.slice(stamp.indexOf('!') + 1, split)}.${stamp.slice(split + 1, end)}`,
    seq: Number.parseInt(stamp.slice(end + 1), 16),
  };
}

export function isStamp(text: string): text is Stamp {
  return PATTERN.test(text);
}

/** What clients see as version id: the stamp in characters that need no escaping in a URL. */
export function versionIdOf(stamp: Stamp): string {
  return stamp.replaceAll('!', '.');
}

/** The stamp of a version id, or `undefined` when it cannot be one of ours. */
export function parseVersionId(versionId: string): Stamp | undefined {
  const stamp = versionId.replaceAll('.', '!');
  return isStamp(stamp) ? stamp : undefined;
}
