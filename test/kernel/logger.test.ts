/** Logs are one line each and hold no secret. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SkerryError } from '../../core/contracts/index.ts';
import { createLogger, type LogOptions } from '../../core/kernel/logger.ts';

function capture(options: LogOptions) {
  const lines: string[] = [];
  return { logger: createLogger(options, { write: (line) => void lines.push(line) }), lines };
}

describe('logger', () => {
  test('one JSON line each, with level, time, message and the fields of its parents', () => {
    const { logger, lines } = capture({ level: 'info', format: 'json' });
    logger.child({ requestId: 'r1' }).info({ bytes: 5 }, 'done');
    assert.equal(lines.length, 1);
    const { time, ...entry } = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
    assert.deepEqual(entry, { level: 'info', requestId: 'r1', bytes: 5, msg: 'done' });
    assert.equal(typeof time, 'number');
  });

  test('the level counts', () => {
    const { logger, lines } = capture({ level: 'warn', format: 'json' });
    logger.debug({}, 'd');
    logger.info({}, 'i');
    logger.warn({}, 'w');
    logger.error({}, 'e');
    assert.equal(lines.length, 2);
    const silent = capture({ level: 'silent', format: 'json' });
    silent.logger.error({}, 'e');
    assert.equal(silent.lines.length, 0);
  });

  test('no secret, whatever its depth or disguise', () => {
    const { logger, lines } = capture({ level: 'debug', format: 'json' });
    const secret = 'S3CR3T';
    logger.info(
      { headers: { Authorization: secret, 'x-amz-security-token': secret }, deep: { list: [{ secretKey: secret }] } },
      'a',
    );
    logger.info(
      { url: `/b/k?X-Amz-Signature=${secret}&x=1`, password: secret, userPassword: secret },
      `GET /?Signature=${secret}`,
    );
    logger.error(
      { error: new SkerryError('Io', 'x', { cause: { token: secret }, details: { masterKey: secret } }) },
      'b',
    );
    logger.child({ cookie: secret }).debug({ query: `AWSAccessKeyId=${secret}` }, 'c');
    assert.equal(lines.length, 4);
    assert.ok(!lines.join('').includes(secret), lines.join(''));
    assert.ok(lines[1]?.includes('&x=1'));
  });

  test('errors keep code, cause and stack', () => {
    const { logger, lines } = capture({ level: 'info', format: 'json' });
    logger.error({ error: new SkerryError('Io', 'outer', { cause: new Error('inner') }) }, 'failed');
    const { error } = JSON.parse(lines[0] ?? '') as {
      error: { code: string; message: string; stack: string; cause: { message: string } };
    };
    assert.deepEqual([error.code, error.message, error.cause.message], ['Io', 'outer', 'inner']);
    assert.match(error.stack, /logger\.test/);
  });

  test('cycles and bytes do no harm', () => {
    const { logger, lines } = capture({ level: 'info', format: 'json' });
    const cyclic: Record<string, unknown> = { bytes: new Uint8Array(9) };
    cyclic['self'] = cyclic;
    logger.info(cyclic, 'x');
    assert.ok(lines[0]?.includes('[9 bytes]'));
  });

  test('the readable form', () => {
    const { logger, lines } = capture({ level: 'info', format: 'pretty' });
    logger.warn({ disk: 'full' }, 'stopping');
    assert.match(lines[0] ?? '', /^\d\d:\d\d:\d\d\.\d{3} WARN {2}stopping \{"disk":"full"\}\n$/);
  });
});
