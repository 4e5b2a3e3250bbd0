/** `skerry key`: access keys and what they may do. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { SkerryError, type CreateKeyInput, type KeyInfo, type PermissionPolicy } from '../../contracts/index.ts';
import { withAdmin } from '../admin-access.ts';
import { command, group, type MakeCommand } from '../command.ts';
import { UsageError } from '../failure.ts';
import { facts, print, table, type GlobalOptions, type Terminal } from '../terminal.ts';

interface OfKey extends GlobalOptions {
  readonly key: string;
}

export const keyCommand: MakeCommand = (terminal) =>
  group('key', 'Make, list and change access keys', [
    list(terminal),
    create(terminal),
    info(terminal),
    setEnabled(terminal, true),
    setEnabled(terminal, false),
    policy(terminal),
    remove(terminal),
    reseal(terminal),
  ]);

const list: MakeCommand = (terminal) =>
  command({
    command: ['list', 'ls'],
    describe: 'List all access keys, without their secrets',
    builder: (yargs) => yargs.example('$0 key list', ''),
    handler: async (options) => {
      const keys = await withAdmin(terminal, options, async (admin) => admin.listKeys());
      const rows = keys.map((key) => [
        key.accessKeyId,
        key.displayName,
        policyText(key.policy),
        key.enabled ? 'enabled' : 'disabled',
        key.fromConfig ? 'configuration' : 'site',
      ]);
      const text = table(['access key', 'name', 'policy', 'state', 'from'], rows, 'no access keys');
      print(terminal, options, { json: keys, text });
    },
  });

interface CreateOptions extends GlobalOptions {
  readonly accessKey?: string;
  readonly secretKeyFile?: string;
  readonly policy: string;
  readonly userId?: string;
  readonly displayName?: string;
  readonly email?: string;
  readonly account?: string;
}

const create: MakeCommand = (terminal) =>
  command<CreateOptions>({
    command: 'create',
    describe: 'Make an access key; its secret is shown this once',
    builder: (yargs) =>
      yargs
        .option('policy', {
          type: 'string',
          default: 'rw',
          describe: 'admin, rw, ro, or a file with an AWS policy document',
        })
        .option('access-key', { type: 'string', describe: 'default: 20 random characters' })
        .option('secret-key-file', {
          type: 'string',
          describe: 'file that holds the secret; default: 40 random characters',
        })
        .option('user-id', { type: 'string', describe: 'owner of what it writes; default: one of its own' })
        .option('display-name', { type: 'string' })
        .option('email', { type: 'string' })
        .option('account', { type: 'string', describe: '12 digits' })
        .example('$0 key create --policy ro --display-name backup', 'a key that only reads'),
    handler: async (options) => {
      const input = await createInput(options, terminal);
      const made = await withAdmin(terminal, options, async (admin) => admin.createKey(input));
      const text = facts([
        ['access key', made.accessKeyId],
        ['secret key', made.secretKey],
        ['policy', policyText(made.policy)],
        ['', 'the secret is not shown again'],
      ]);
      print(terminal, options, { json: made, text });
    },
  });

async function createInput(options: CreateOptions, terminal: Terminal): Promise<CreateKeyInput> {
  const { accessKey, secretKeyFile, userId, displayName, email, account } = options;
  const given = { accessKeyId: accessKey, userId, displayName, email, account };
  const texts = Object.entries(given).filter(([, value]) => value !== undefined);
  const secret =
    secretKeyFile === undefined ? undefined : (await readText(secretKeyFile, terminal)).replace(/\r?\n$/, '');
  return {
    ...(Object.fromEntries(texts) as Omit<CreateKeyInput, 'policy'>),
    ...(secret === undefined ? {} : { secretKey: secret }),
    policy: await parsePolicy(options.policy, terminal),
  };
}

const info: MakeCommand = (terminal) =>
  command<OfKey>({
    command: 'info <key>',
    describe: 'Show an access key',
    builder: (yargs) =>
      yargs.positional('key', { type: 'string', demandOption: true }).example('$0 key info WAWADMIN', ''),
    handler: async (options) => {
      const keys = await withAdmin(terminal, options, async (admin) => admin.listKeys());
      const found = keys.find((key) => key.accessKeyId === options.key);
      if (found === undefined) {
        throw new SkerryError('NotFound', `there is no access key ${options.key}`, {
          details: { accessKeyId: options.key, hint: 'skerry key list shows them all' },
        });
      }
      print(terminal, options, { json: found, text: keyFacts(found) });
    },
  });

function setEnabled(terminal: Terminal, enabled: boolean): ReturnType<MakeCommand> {
  const verb = enabled ? 'enable' : 'disable';
  return command<OfKey>({
    command: `${verb} <key>`,
    describe: enabled ? 'Let an access key be used again' : 'Refuse an access key, and keep it',
    builder: (yargs) =>
      yargs.positional('key', { type: 'string', demandOption: true }).example(`$0 key ${verb} AKIAEXAMPLE`, ''),
    handler: async (options) => {
      const changed = await withAdmin(terminal, options, async (admin) => admin.setKeyEnabled(options.key, enabled));
      print(terminal, options, { json: changed, text: `access key ${changed.accessKeyId} is ${verb}d` });
    },
  });
}

interface PolicyOptions extends OfKey {
  readonly policy: string;
}

const policy: MakeCommand = (terminal) =>
  command<PolicyOptions>({
    command: 'policy <key> <policy>',
    describe: 'Set what an access key may do',
    builder: (yargs) =>
      yargs
        .positional('key', { type: 'string', demandOption: true })
        .positional('policy', {
          type: 'string',
          demandOption: true,
          describe: 'admin, rw, ro, or a file with an AWS policy document',
        })
        .example('$0 key policy AKIAEXAMPLE ro', 'it may only read from now on'),
    handler: async (options) => {
      const wanted = await parsePolicy(options.policy, terminal);
      const changed = await withAdmin(terminal, options, async (admin) => admin.setKeyPolicy(options.key, wanted));
      const text = `access key ${changed.accessKeyId} has policy ${policyText(changed.policy)}`;
      print(terminal, options, { json: changed, text });
    },
  });

const remove: MakeCommand = (terminal) =>
  command<OfKey>({
    command: ['delete <key>', 'rm'],
    describe: 'Remove an access key for good',
    builder: (yargs) =>
      yargs.positional('key', { type: 'string', demandOption: true }).example('$0 key delete AKIAEXAMPLE', ''),
    handler: async (options) => {
      await withAdmin(terminal, options, async (admin) => admin.removeKey(options.key));
      const json = { accessKeyId: options.key, removed: true };
      print(terminal, options, { json, text: `removed access key ${options.key}` });
    },
  });

const reseal: MakeCommand = (terminal) =>
  command({
    command: 'reseal',
    describe: 'Seal all keys with the present replication.clusterKey, once every site has it',
    builder: (yargs) => yargs.example('$0 key reseal', 'before the old cluster key leaves the configuration'),
    handler: async (options) => {
      const resealed = await withAdmin(terminal, options, async (admin) => admin.resealKeys());
      print(terminal, options, { json: resealed, text: `${resealed.length} keys were sealed anew` });
    },
  });

function keyFacts(key: KeyInfo): string {
  return facts([
    ['access key', key.accessKeyId],
    ['name', key.displayName],
    ['user id', key.userId],
    ['email', key.email ?? ''],
    ['account', key.account],
    ['policy', policyText(key.policy)],
    ['state', key.enabled ? 'enabled' : 'disabled'],
    ['from', key.fromConfig ? 'configuration' : 'site'],
  ]);
}

function policyText(policy: PermissionPolicy): string {
  return typeof policy === 'string' ? policy : JSON.stringify(policy);
}

async function parsePolicy(text: string, terminal: Terminal): Promise<PermissionPolicy> {
  if (text === 'admin' || text === 'rw' || text === 'ro') return text;
  const content = await readText(text, terminal);
  try {
    const document: unknown = JSON.parse(content);
    if (typeof document === 'object' && document !== null && !Array.isArray(document)) {
      return document as PermissionPolicy;
    }
  } catch (error) {
    throw new UsageError(`${text} is not JSON: ${(error as Error).message}`, 'give admin, rw, ro, or a JSON file');
  }
  throw new UsageError(`${text} holds no policy document`, 'a policy document is a JSON object with a Statement');
}

async function readText(file: string, terminal: Terminal): Promise<string> {
  try {
    return await readFile(resolve(terminal.cwd, file), 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${(error as Error).message}`, 'a policy is admin, rw, ro, or a file');
  }
}
