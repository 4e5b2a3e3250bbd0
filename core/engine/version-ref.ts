/** Which version is meant, wherever a site keeps it. */
import type { Stamp } from '../contracts/index.ts';

export interface VersionRef {
  readonly bucket: string;
  readonly key: string;
  readonly stamp: Stamp;
}

export const refOf = ({ bucket, key, stamp }: VersionRef): VersionRef => ({ bucket, key, stamp });
