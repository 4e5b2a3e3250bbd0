/** From the command line to the configuration. */
import { loadConfig } from '../kernel/config/load.ts';
import type { LoadedConfig } from '../kernel/config/types.ts';
import { nodeFiles } from '../kernel/runtime/files.ts';
import type { GlobalOptions, Terminal } from './terminal.ts';

/** Options of commands that read the configuration as `serve` would. */
export interface SettingOptions extends GlobalOptions {
  readonly listen?: string | undefined;
  readonly set?: readonly string[] | undefined;
}

/** Rejects with `InvalidConfig`. Warnings go to standard error. */
export async function loadSettings(
  terminal: Terminal,
  { json, config, dataDir, listen, set }: SettingOptions,
): Promise<LoadedConfig> {
  const flags = {
    ...(dataDir === undefined ? {} : { dataDir }),
    ...(listen === undefined ? {} : { listen }),
    ...(set === undefined ? {} : { set }),
  };
  const loaded = await loadConfig({
    ...(config === undefined ? {} : { file: config }),
    env: terminal.env,
    flags,
    cwd: terminal.cwd,
    files: nodeFiles,
  });
  if (!json) for (const warning of loaded.warnings) terminal.err(`warning: ${warning}`);
  return loaded;
}

export const LISTEN_OPTION = {
  type: 'string',
  describe: 'address of the S3 endpoint: host:port, :port for all interfaces, port 0 for any free one',
} as const;

export const SET_OPTION = {
  type: 'string',
  array: true,
  nargs: 1,
  describe: 'set any key of the configuration, a.b=value; may be repeated',
} as const;
