/** The answering side of the digest calls. Each answer is read from one snapshot. */
import { SkerryError, type IncomingCall, type VersionVector } from '../contracts/index.ts';
import type { DigestServer } from '../engine/auditor.ts';
import { rootOf, type EntityDigest } from '../engine/digest-tree.ts';
import * as codec from './codec-digest.ts';
import { requireVersion } from './protocol.ts';

type Answer = AsyncGenerator<Uint8Array, void, undefined>;

/** Scans of the whole state that run for peers at once. */
const SCANS_MAX = 2;
/** JSON of one frame, about. */
const FRAME_BYTES = 1024 * 1024;

export class DigestDesk {
  readonly #auditor: DigestServer | undefined;
  #scans = 0;

  constructor(auditor: DigestServer | undefined) {
    this.#auditor = auditor;
  }

  async *digest({ body }: IncomingCall): Answer {
    const { protocol, leaves: wantsLeaves } = codec.digestRequest.decode(body);
    requireVersion(protocol);
    const { vector, leaves } = await this.#server().digest();
    yield codec.digestFrame.encode({ vector, root: rootOf(leaves) });
    if (!wantsLeaves) return;
    const sorted = [...leaves].toSorted(([a], [b]) => a - b);
    for (let at = 0; at < sorted.length; at += codec.LEAVES_MAX)
      yield codec.digestFrame.encode({ leaves: sorted.slice(at, at + codec.LEAVES_MAX) });
  }

  async *digestEntities({ body, signal }: IncomingCall): Answer {
    const { protocol, leaves } = codec.digestEntitiesRequest.decode(body);
    requireVersion(protocol);
    const server = this.#server();
    if (this.#scans >= SCANS_MAX) throw new SkerryError('SlowDown', `${this.#scans} scans for peers are running here`);
    this.#scans++;
    try {
      let page: EntityDigest[] = [];
      for await (const one of server.leafEntities(new Set(leaves), signal)) {
        if (one.kind === 'entity') page.push(one.entity);
        if (one.kind === 'entity' && page.length < codec.DIGESTS_MAX) continue;
        const vector = one.kind === 'vector' ? { vector: one.vector } : {};
        yield codec.digestEntitiesFrame.encode({ ...vector, entities: page });
        page = [];
      }
      if (page.length > 0) yield codec.digestEntitiesFrame.encode({ entities: page });
    } finally {
      this.#scans--;
    }
  }

  async *entities({ body }: IncomingCall): Answer {
    const { protocol, paths } = codec.entitiesRequest.decode(body);
    requireVersion(protocol);
    const { vector, entities } = await this.#server().whole(paths);
    let rest = entities;
    let first: { readonly vector?: VersionVector } = { vector };
    do {
      const page = rest.slice(0, pageLength(rest));
      yield codec.entitiesFrame.encode({ ...first, entities: page });
      rest = rest.slice(page.length);
      first = {};
    } while (rest.length > 0);
  }

  #server(): DigestServer {
    if (this.#auditor === undefined) throw new SkerryError('NotSupported', 'this site keeps no digest');
    return this.#auditor;
  }
}

/** At least one, as long as there is one. */
function pageLength(entities: readonly object[]): number {
  let bytes = 0;
  const end = entities.findIndex((entity) => (bytes += JSON.stringify(entity).length) > FRAME_BYTES);
  return Math.min(codec.DIGESTS_MAX, end === -1 ? entities.length : Math.max(1, end));
}
