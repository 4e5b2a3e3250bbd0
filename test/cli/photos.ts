/** A site `waw` with a bucket `photos`, and a root user whose keys the test knows. */
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';

import { serve } from './command.ts';

const credentials = { accessKeyId: 'PHOTOSTEST', secretAccessKey: 'secret-of-the-photos-test' };

/** What `serve` needs to be told for it. */
export const env = {
  SKERRY_ROOT_ACCESS_KEY: credentials.accessKeyId,
  SKERRY_ROOT_SECRET_KEY: credentials.secretAccessKey,
  SKERRY_BUCKETS: 'photos',
  SKERRY_SITE_ID: 'waw',
};

export const rootClient = (endpoint: string): S3Client =>
  new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });

/** Leaves the data of a stopped site in `cwd` that has these objects. */
export async function putPhotos(cwd: string, photos: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  const site = await serve({ cwd, env });
  const s3 = rootClient(site.url);
  for (const [Key, Body] of Object.entries(photos))
    await s3.send(new PutObjectCommand({ Bucket: 'photos', Key, Body }));
  s3.destroy();
  await site.end();
}
