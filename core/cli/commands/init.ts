/** `skerry init`: a starter configuration. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { SkerryError } from '../../contracts/index.ts';
import { command, type MakeCommand } from '../command.ts';
import { print, type GlobalOptions } from '../terminal.ts';

const FILE_NAME = 'skerry.yaml';

const STARTER = `# Configuration of one Skerry site. Every key is optional: what stands here are the defaults, or examples behind a #.
# Check it with: skerry config check -c ${FILE_NAME}        All keys: skerry config schema

# Short name of this site, used once there are others. Default: a random one, kept in the data directory.
# site: { id: waw }

# Everything that the site keeps. Relative to this file.
dataDir: ./data

plugins:
  # Where names, versions and settings are kept.
  metaStore: { use: sqlite }
  # Where the bytes are kept.
  chunkStore: { use: fs }
  # Who may do what. Keys made with "skerry key create" are kept in the data directory; those listed here are not replicated.
  auth:
    use: sigv4
    # identities:
    #   - { accessKey: WAWADMIN, secretKey: { env: WAW_SECRET }, policy: admin }
  gateways:
    # The S3 endpoint. ":9000" instead listens on all interfaces; domains turns on bucket.<domain> addresses.
    - { use: s3, listen: 127.0.0.1:9000, region: us-east-1, domains: [] }
  # Where other sites call this one; one that only dials out needs no listen.
  # transport: { use: http, listen: 127.0.0.1:9100 }

# Several sites: a key that all share (head -c 32 /dev/urandom | base64 > cluster.key), and the sites that this one calls.
# replication:
#   clusterKey: { file: ./cluster.key }
#   peers: [{ site: ber, url: http://ber.example.com:9100 }]

# Buckets that are made at start when they are missing.
# seed: { buckets: [photos, backups] }

log: { level: info, format: json }

# How long running requests may take to finish when the site is told to stop.
shutdown: { graceMs: 10000 }
`;

interface InitOptions extends GlobalOptions {
  readonly dir: string;
}

export const initCommand: MakeCommand = (terminal) =>
  command<InitOptions>({
    command: 'init [dir]',
    describe: `Write a starter configuration, ${FILE_NAME}`,
    builder: (yargs) =>
      yargs
        .positional('dir', { type: 'string', default: '.', describe: 'directory for it; made when it is missing' })
        .example('$0 init warsaw', `writes warsaw/${FILE_NAME}`),
    handler: async (options) => {
      const file = join(options.dir, FILE_NAME);
      await mkdir(resolve(terminal.cwd, options.dir), { recursive: true });
      await writeNew(resolve(terminal.cwd, file), file);
      const text = `wrote ${file}\nstart the site with: skerry serve -c ${file}`;
      print(terminal, options, { json: { file }, text });
    },
  });

async function writeNew(path: string, shown: string): Promise<void> {
  try {
    await writeFile(path, STARTER, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new SkerryError('Io', `cannot write ${shown}: ${(error as Error).message}`, { cause: error });
    }
    throw new SkerryError('AlreadyExists', `${shown} is there already and was left as it is`, {
      details: { hint: 'remove it first, or name another directory' },
    });
  }
}
