/** What a site says when it is first started: where its credentials are, and how clients reach it. */
import { relative } from 'node:path';

export interface WelcomeInput {
  /** Absolute path of the credentials, in the format of an AWS shared credentials file. */
  readonly credentialsFile: string;
  /** URL of the S3 endpoint, when there is one. */
  readonly endpoint: string | undefined;
  readonly region: string;
  /** Absolute. */
  readonly cwd: string;
}

/** For people; no secret in it. The commands read the credentials from their file. */
export function welcome({ credentialsFile, endpoint, region, cwd }: WelcomeInput): string {
  const fromHere = relative(cwd, credentialsFile);
  const file = fromHere.length < credentialsFile.length ? fromHere : credentialsFile;
  const credentials = ['First start: root credentials were made. They are kept in', `  ${file}`];
  if (endpoint === undefined) return credentials.join('\n');
  return [
    ...credentials,
    `Endpoint: ${endpoint}  region: ${region}`,
    'Try it:',
    ...clientCommands(file, endpoint, region),
  ].join('\n');
}

/** Ready to paste into a shell. */
export function clientCommands(file: string, endpoint: string, region: string): readonly string[] {
  const { host, protocol } = new URL(endpoint);
  const plain = protocol === 'http:' ? ' --no-ssl' : '';
  const remote = `:s3,provider=Other,env_auth=true,endpoint='${endpoint}',region=${region}:`;
  return [
    `AWS_SHARED_CREDENTIALS_FILE=${quoted(file)} aws --profile default --region ${region} --endpoint-url ${endpoint} s3 mb s3://first`,
    `AWS_SHARED_CREDENTIALS_FILE=${quoted(file)} rclone copy README.md "${remote}first"`,
    `AWS_CREDENTIAL_FILE=${quoted(file)} s3cmd${plain} --region=${region} --host=${host} --host-bucket=${host} ls s3://first`,
  ].map((line) => `  ${line}`);
}

/** As one word of a POSIX shell. */
function quoted(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Where a client on this machine reaches an address that may stand for all interfaces. */
export function reachable(url: string): string {
  return url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
}
