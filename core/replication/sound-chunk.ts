/** Chunks as they are given to peers, pulled or pushed. */
import { isSkerryError, type ChunkHash } from '../contracts/index.ts';
import type { Replica, VersionRef } from '../engine/replica.ts';
import type { SiteContext } from './site-context.ts';

/** A chunk that is damaged here is one that we do not have; another site may. */
export async function soundChunk(
  { replica, logger }: Pick<SiteContext, 'replica' | 'logger'>,
  hash: ChunkHash,
  holder: VersionRef,
): ReturnType<Replica['readChunk']> {
  try {
    return await replica.readChunk(hash, holder);
  } catch (error) {
    if (!isSkerryError(error, 'Corrupt')) throw error;
    logger.error({ err: error, hash }, 'a damaged chunk was not given to a peer');
    return undefined;
  }
}
