/** `skerry plugins`: what is loaded, from where, and its options. */
import type { Plugin, PluginKind } from '../../contracts/index.ts';
import { createPluginLoader, type FoundPlugin } from '../../kernel/plugin-loader.ts';
import { nodeFiles } from '../../kernel/runtime/files.ts';
import { shippedFolder, shippedNames } from '../../kernel/shipped-plugins.ts';
import type { LoadedPlugin } from '../../kernel/config/types.ts';
import { command, group, type MakeCommand } from '../command.ts';
import { UsageError } from '../failure.ts';
import { loadSettings } from '../settings.ts';
import { facts, print, table, type GlobalOptions, type Terminal } from '../terminal.ts';

const KINDS: readonly PluginKind[] = ['meta-store', 'chunk-store', 'transport', 'conflict-resolver', 'auth', 'gateway'];

export const pluginsCommand: MakeCommand = (terminal) =>
  group('plugins', 'List plugins, show their options', [list(terminal), info(terminal)]);

const list: MakeCommand = (terminal) =>
  command({
    command: ['list', 'ls'],
    describe: 'List the plugins that the configuration uses, and where each comes from',
    builder: (yargs) => yargs.example('$0 plugins list -c site.yaml', ''),
    handler: async (options) => {
      const { plugins } = await loadSettings(terminal, options);
      const { gateways, transport, ...single } = plugins;
      const used = [...Object.values(single), ...(transport === undefined ? [] : [transport]), ...gateways];
      const json = used.map((one) => usedPlugin(one as LoadedPlugin));
      const rows = json.map((one) => [one.section, one.kind, one.name, one.from]);
      print(terminal, options, { json, text: table(['section', 'kind', 'plugin', 'from'], rows, 'no plugins') });
    },
  });

function usedPlugin({ section, use, from, plugin }: LoadedPlugin) {
  return { section, use, from, kind: plugin.kind, name: plugin.name, contract: plugin.contract };
}

interface InfoOptions extends GlobalOptions {
  readonly plugin: string;
  readonly kind?: PluginKind;
}

const info: MakeCommand = (terminal) =>
  command<InfoOptions>({
    command: 'info <plugin>',
    describe: 'Show a plugin: kind, abilities, options with their defaults',
    builder: (yargs) =>
      yargs
        .positional('plugin', {
          type: 'string',
          demandOption: true,
          describe: 'a shipped name (sqlite, meta-sqlite), a ./path, or a package name',
        })
        .option('kind', { choices: KINDS, describe: 'when the name alone does not tell' })
        .example('$0 plugins info sqlite', 'options of the default meta-store'),
    handler: async (options) => {
      const { plugin, from } = await findPlugin(options, terminal);
      const { kind, name, contract, supports, options: schema } = plugin;
      const text = [
        facts([
          ['plugin', name],
          ['kind', kind],
          ['from', from],
          ['contract', String(contract)],
          ...Object.entries(supports).map(([ability, value]) => [ability, JSON.stringify(value)] as const),
        ]),
        optionsTable(plugin),
      ].join('\n\n');
      print(terminal, options, { json: { name, kind, from, contract, supports, options: schema }, text });
    },
  });

async function findPlugin({ plugin: asked, kind }: InfoOptions, terminal: Terminal): Promise<FoundPlugin> {
  const loader = createPluginLoader({ directory: terminal.cwd, files: nodeFiles });
  const shipped = shippedAs(asked).filter((one) => kind === undefined || one.kind === kind);
  if (shipped.length > 1) {
    throw new UsageError(`${asked} is a ${shipped.map((one) => one.kind).join(', a ')}`, 'say which with --kind');
  }
  const others = (kind === undefined ? KINDS : [kind]).map((one) => ({ kind: one, use: asked }));
  const faults: string[] = [];
  for (const one of shipped.length === 1 ? shipped : others) {
    const found = await loader.find(one.kind, one.use);
    if ('plugin' in found) return found;
    faults.push(found.problem);
  }
  const names = KINDS.flatMap((one) => shippedNames(one).map((name) => `${one} ${name}`)).join(', ');
  const message = faults.length === 1 ? faults.join() : `there is no plugin called ${asked}`;
  throw new UsageError(message, `shipped are ${names}; or give a ./path or an installed package`);
}

/** A short name (`memory`) may be several plugins, a full one (`meta-memory`) is one. */
function shippedAs(asked: string): readonly { readonly kind: PluginKind; readonly use: string }[] {
  const all = KINDS.flatMap((kind) => shippedNames(kind).map((use) => ({ kind, use })));
  return all.filter(({ kind, use }) => use === asked || shippedFolder(kind, use) === asked);
}

interface OptionSchema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly description?: string;
}

function optionsTable({ options }: Plugin): string {
  const required = new Set(options.required);
  const rows = Object.entries(options.properties).map(([name, schema]) => {
    const { type = '', enum: words, default: standard, description = '' } = schema as OptionSchema;
    const absent = required.has(name) ? 'required' : 'none';
    const shown = standard === undefined ? absent : JSON.stringify(standard);
    return [name, (words ?? [type].flat()).join(' | '), shown, description];
  });
  return table(['option', 'type', 'default', 'meaning'], rows, 'no options');
}
