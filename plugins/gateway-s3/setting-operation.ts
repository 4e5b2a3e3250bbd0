/** What operations on bucket settings have in common. */
import type { BucketInfo, BucketSettingName, Json } from '../../core/contracts/index.ts';
import type { S3Operation, S3Request, S3Response, S3Services } from './operation.ts';
import { bucketOf } from './target.ts';

/** Larger than any valid settings document of S3. */
export const MAX_SETTING_BYTES = 262_144;

export const OK: S3Response = { status: 200, headers: { 'content-length': '0' } };
export const NO_CONTENT: S3Response = { status: 204, headers: {} };

export function xmlResponse(body: string): S3Response {
  return { status: 200, headers: { 'content-type': 'application/xml' }, body };
}

/** GET of a setting. */
export function readSetting(
  name: string,
  action: string,
  answer: (bucket: BucketInfo, services: S3Services) => S3Response,
): S3Operation {
  return {
    name,
    action,
    resource: 'bucket',
    run: async (request, services) => answer(await request.bucketInfo(), services),
  };
}

/** What a PUT makes of its body; it throws for anything that must not be stored. */
export type ReadValue = (text: string, bucket: BucketInfo, services: S3Services, request: S3Request) => Json;

/** PUT of a setting: read strictly, then stored. */
export function writeSetting(
  name: string,
  action: string,
  setting: BucketSettingName,
  read: ReadValue,
  done: S3Response = OK,
): S3Operation {
  return {
    name,
    action,
    resource: 'bucket',
    async run(request, services) {
      const text = await request.text(MAX_SETTING_BYTES);
      const value = read(text, await request.bucketInfo(), services, request);
      await services.objects.putBucketSetting(bucketOf(request), setting, value);
      return done;
    },
  };
}

/** DELETE of a setting; of one that is not set too. */
export function clearSetting(name: string, action: string, setting: BucketSettingName): S3Operation {
  return {
    name,
    action,
    resource: 'bucket',
    async run(request, services) {
      const bucket = await request.bucketInfo();
      if ((bucket.settings[setting] ?? null) !== null) {
        await services.objects.putBucketSetting(bucket.name, setting, null);
      }
      return NO_CONTENT;
    },
  };
}
