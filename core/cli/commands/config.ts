/** `skerry config`: what the site would run with. */
import { stringify } from 'yaml';
import { describeSource } from '../../kernel/config/problems.ts';
import { configSchema } from '../../kernel/config/published-schema.ts';
import { command, group, type MakeCommand } from '../command.ts';
import { LISTEN_OPTION, loadSettings, SET_OPTION, type SettingOptions } from '../settings.ts';
import { print } from '../terminal.ts';

export const configCommand: MakeCommand = (terminal) =>
  group('config', 'Check and show the configuration', [check(terminal), show(terminal), schema(terminal)]);

const check: MakeCommand = (terminal) =>
  command<SettingOptions>({
    command: 'check',
    describe: 'Check the configuration; every problem with file, line and a hint, exit code 2',
    builder: (yargs) =>
      yargs
        .option('listen', LISTEN_OPTION)
        .option('set', SET_OPTION)
        .example('$0 config check -c site.yaml', 'before a restart'),
    handler: async (options) => {
      const loaded = await loadSettings(terminal, options);
      const from = options.config ?? 'embedded defaults';
      print(terminal, options, { json: { valid: true, warnings: loaded.warnings }, text: `${from}: valid` });
    },
  });

interface ShowOptions extends SettingOptions {
  readonly sources: boolean;
}

const show: MakeCommand = (terminal) =>
  command<ShowOptions>({
    command: 'show',
    describe: 'Show the effective configuration, secrets redacted',
    builder: (yargs) =>
      yargs
        .option('listen', LISTEN_OPTION)
        .option('set', SET_OPTION)
        .option('sources', { type: 'boolean', default: false, describe: 'where each value came from' })
        .example('$0 config show --sources', 'default, file:line:col, variable or flag of each key'),
    handler: async (options) => {
      const { shown, sources } = await loadSettings(terminal, options);
      if (!options.sources) {
        print(terminal, options, { json: shown, text: stringify(shown, { lineWidth: 120 }).trimEnd() });
        return;
      }
      const named = Object.entries(sources).map(([key, source]) => [key, describeSource(source)] as const);
      const text = named.map(([key, source]) => `${key}: ${source}`).join('\n');
      print(terminal, options, { json: Object.fromEntries(named), text });
    },
  });

const schema: MakeCommand = (terminal) =>
  command({
    command: 'schema',
    describe: 'Print the JSON Schema of the configuration file, for an editor',
    builder: (yargs) => yargs.example('$0 config schema > skerry.schema.json', ''),
    handler: async () => {
      terminal.out(JSON.stringify(await configSchema(), undefined, 2));
    },
  });
