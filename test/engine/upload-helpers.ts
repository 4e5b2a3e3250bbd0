/** What the tests of multipart uploads share. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  SkerryError,
  type CompletedPart,
  type CreateUploadInput,
  type ObjectService,
  type PartInfo,
  type UploadInfo,
  type UploadRef,
} from '../../core/contracts/index.ts';
import { BUCKET } from './whole-site.ts';

export const KEY = 'dir/large.bin';
export const md5 = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest();

export const createUpload = (objects: ObjectService, more: Partial<CreateUploadInput> = {}): Promise<UploadInfo> =>
  objects.createUpload({
    bucket: BUCKET,
    key: KEY,
    owner: 'owner',
    initiator: 'initiator',
    headers: { 'content-type': 'text/x' },
    metadata: { colour: 'red' },
    storageClass: 'STANDARD',
    ...more,
  });

export const refOf = ({ bucket, key, uploadId }: UploadRef): UploadRef => ({ bucket, key, uploadId });
export const named = (parts: readonly PartInfo[]): CompletedPart[] =>
  parts.map(({ number, etag }) => ({ number, etag }));

export async function putAll(
  objects: ObjectService,
  ref: UploadRef,
  bodies: readonly Uint8Array[],
): Promise<PartInfo[]> {
  return Promise.all(bodies.map((bytes, i) => objects.putPart({ ...refOf(ref), number: i + 1, body: { bytes } })));
}

export async function refuses(run: Promise<unknown>, code: string, details: object = {}): Promise<void> {
  await assert.rejects(run, (error) => {
    assert.ok(error instanceof SkerryError, String(error));
    assert.equal(error.code, code, error.message);
    for (const [name, value] of Object.entries(details)) assert.deepEqual(error.details[name], value);
    return true;
  });
}
