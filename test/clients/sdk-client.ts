/** The AWS SDK for JavaScript, pointed at a site. */
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';

import type { Site } from './support.ts';

export function sdkClient(site: Site, more: S3ClientConfig = {}): S3Client {
  const { endpoint, accessKeyId, secretAccessKey } = site;
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    ...more,
  });
}
