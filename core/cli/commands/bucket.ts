/** `skerry bucket`: buckets without an S3 client. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  isSkerryError,
  SkerryError,
  type AdminService,
  type BucketSettingName,
  type BucketSummary,
  type Json,
} from '../../contracts/index.ts';
import { withAdmin } from '../admin-access.ts';
import { command, group, type MakeCommand } from '../command.ts';
import { UsageError } from '../failure.ts';
import { facts, print, table, time, type GlobalOptions } from '../terminal.ts';

interface Named extends GlobalOptions {
  readonly name: string;
}

/** Settings that `bucket info` shows when they are set. */
const SHOWN_SETTINGS: readonly BucketSettingName[] = [
  'policy',
  'cors',
  'tagging',
  'lifecycle',
  'encryption',
  'ownership',
  'publicAccess',
  'objectLock',
];

export const bucketCommand: MakeCommand = (terminal) =>
  group('bucket', 'Make, list and remove buckets', [
    list(terminal),
    create(terminal),
    info(terminal),
    remove(terminal),
    versioning(terminal),
    policy(terminal),
  ]);

const list: MakeCommand = (terminal) =>
  command({
    command: ['list', 'ls'],
    describe: 'List all buckets',
    builder: (yargs) => yargs.example('$0 bucket list --json', 'as JSON'),
    handler: async (options) => {
      const buckets = await withAdmin(terminal, options, async (admin) => admin.listBuckets());
      const rows = buckets.map((one) => [one.name, one.owner, one.versioning, time(one.createdAtMs)]);
      const text = table(['name', 'owner', 'versioning', 'created'], rows, 'no buckets');
      print(terminal, options, { json: buckets, text });
    },
  });

interface CreateOptions extends Named {
  readonly owner?: string;
  readonly versioning: boolean;
}

const create: MakeCommand = (terminal) =>
  command<CreateOptions>({
    command: 'create <name>',
    describe: 'Make a bucket',
    builder: (yargs) =>
      yargs
        .positional('name', {
          type: 'string',
          demandOption: true,
          describe: '3 to 63 lower-case letters, digits, - and .',
        })
        .option('owner', { type: 'string', describe: 'user id that owns it; default: the root user' })
        .option('versioning', { type: 'boolean', default: false, describe: 'keep every version of an object' })
        .example('$0 bucket create photos --versioning', 'a bucket that keeps old versions'),
    handler: async (options) => {
      const { name, owner, versioning } = options;
      const wanted = { ...(owner === undefined ? {} : { owner }), ...(versioning ? { versioning } : {}) };
      const made = await withAdmin(terminal, options, async (admin) => admin.createBucket(name, wanted));
      print(terminal, options, { json: made, text: `made bucket ${made.name}` });
    },
  });

const info: MakeCommand = (terminal) =>
  command<Named>({
    command: 'info <name>',
    describe: 'Show a bucket and its settings',
    builder: (yargs) =>
      yargs.positional('name', { type: 'string', demandOption: true }).example('$0 bucket info photos', ''),
    handler: async (options) => {
      const { found, settings } = await withAdmin(terminal, options, async (admin) => ({
        found: await findBucket(admin, options.name),
        settings: await setSettings(admin, options.name),
      }));
      const text = facts([
        ['name', found.name],
        ['owner', found.owner],
        ['versioning', found.versioning],
        ['created', time(found.createdAtMs)],
        ...Object.entries(settings).map(([name, value]) => [name, JSON.stringify(value)] as const),
      ]);
      print(terminal, options, { json: { ...found, settings }, text });
    },
  });

interface DeleteOptions extends Named {
  readonly force: boolean;
}

const remove: MakeCommand = (terminal) =>
  command<DeleteOptions>({
    command: ['delete <name>', 'rm'],
    describe: 'Remove a bucket',
    builder: (yargs) =>
      yargs
        .positional('name', { type: 'string', demandOption: true })
        .option('force', {
          type: 'boolean',
          default: false,
          describe: 'remove every object, version and open upload in it first',
        })
        .example('$0 bucket delete photos --force', 'with all that is in it'),
    handler: async (options) => {
      const { name, force } = options;
      await withAdmin(terminal, options, async (admin) => admin.removeBucket(name, { force }));
      print(terminal, options, { json: { name, removed: true }, text: `removed bucket ${name}` });
    },
  });

interface VersioningOptions extends Named {
  readonly state?: 'enabled' | 'suspended';
}

const versioning: MakeCommand = (terminal) =>
  command<VersioningOptions>({
    command: 'versioning <name> [state]',
    describe: 'Show or set whether a bucket keeps old versions',
    builder: (yargs) =>
      yargs
        .positional('name', { type: 'string', demandOption: true })
        .positional('state', { choices: ['enabled', 'suspended'] as const, describe: 'absent: show' })
        .example('$0 bucket versioning photos enabled', 'from now on every version is kept'),
    handler: async (options) => {
      const { name, state } = options;
      const found = await withAdmin(terminal, options, async (admin) => {
        const value = state === 'enabled' ? 'Enabled' : 'Suspended';
        if (state !== undefined) await admin.setBucketSetting(name, 'versioning', value);
        return findBucket(admin, name);
      });
      print(terminal, options, { json: { name, versioning: found.versioning }, text: found.versioning });
    },
  });

interface PolicyOptions extends Named {
  readonly file?: string;
  readonly clear?: boolean;
}

const policy: MakeCommand = (terminal) =>
  command<PolicyOptions>({
    command: 'policy <name> [file]',
    describe: 'Show, set or clear the policy of a bucket',
    builder: (yargs) =>
      yargs
        .positional('name', { type: 'string', demandOption: true })
        .positional('file', { type: 'string', describe: 'AWS policy document (JSON); absent: show' })
        .option('clear', { type: 'boolean', conflicts: 'file', describe: 'remove the policy' })
        .example('$0 bucket policy photos public-read.json', 'let everybody read'),
    handler: async (options) => {
      const { name, file, clear } = options;
      const document = file === undefined ? undefined : await readDocument(resolve(terminal.cwd, file), file);
      const current = await withAdmin(terminal, options, async (admin) => {
        if (document !== undefined || clear === true) await admin.setBucketSetting(name, 'policy', document ?? null);
        await findBucket(admin, name);
        return settingOf(admin, name, 'policy');
      });
      const text = current === null ? 'no policy' : JSON.stringify(current, undefined, 2);
      print(terminal, options, { json: { name, policy: current }, text });
    },
  });

async function findBucket(admin: AdminService, name: string): Promise<BucketSummary> {
  const found = (await admin.listBuckets()).find((bucket) => bucket.name === name);
  if (found !== undefined) return found;
  throw new SkerryError('NoSuchBucket', `there is no bucket ${name}`, {
    details: { bucket: name, hint: 'skerry bucket list shows them all' },
  });
}

async function setSettings(admin: AdminService, bucket: string): Promise<Readonly<Record<string, Json>>> {
  const settings: Record<string, Json> = {};
  for (const name of SHOWN_SETTINGS) {
    const value = await settingOf(admin, bucket, name);
    if (value !== null) settings[name] = value;
  }
  return settings;
}

async function settingOf(admin: AdminService, bucket: string, name: BucketSettingName): Promise<Json> {
  try {
    return await admin.getBucketSetting(bucket, name);
  } catch (error) {
    if (isSkerryError(error, 'NoSuchSetting')) return null;
    throw error;
  }
}

async function readDocument(path: string, shown: string): Promise<Json> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Json;
  } catch (error) {
    throw new UsageError(`${shown} holds no policy: ${(error as Error).message}`, 'give a file with a JSON document');
  }
}
