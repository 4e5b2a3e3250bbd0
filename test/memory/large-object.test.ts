/**
 * A large object is streamed: what the process needs does not follow the object's size. `SKERRY_LARGE_OBJECT_MIB=5120` (npm run
 * test:5gib) asks the same of the largest single upload that S3 has.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeReport, moveLargeObject } from './large-object.ts';

const PEAK_MAX_BYTES = 256 * 1024 * 1024;
const sizeMiB = Number(process.env['SKERRY_LARGE_OBJECT_MIB'] ?? '1024');

test(`an object of ${sizeMiB} MiB goes up and down within 256 MiB of process memory`, async (t) => {
  const report = await moveLargeObject(sizeMiB);
  t.diagnostic(describeReport(sizeMiB, report));
  assert.equal(report.receivedBytes, sizeMiB * 1024 * 1024);
  assert.equal(report.etag, report.sentMd5);
  assert.equal(report.receivedMd5, report.sentMd5);
  assert.ok(report.uploadPeakBytes < PEAK_MAX_BYTES, describeReport(sizeMiB, report));
  assert.ok(report.downloadPeakBytes < PEAK_MAX_BYTES, describeReport(sizeMiB, report));
});
