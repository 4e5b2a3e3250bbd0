/** What a first start leaves for its user. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export function rootCredentials(dataDir: string): Credentials {
  const text = readFileSync(join(dataDir, 'root-credentials'), 'utf8');
  const value = (name: string): string => new RegExp(`^${name} = (\\S+)$`, 'm').exec(text)?.[1] ?? '';
  return { accessKeyId: value('aws_access_key_id'), secretAccessKey: value('aws_secret_access_key') };
}
