/** `skerry serve`: runs a site until it is told to stop. */
import type { LoadedConfig } from '../../kernel/config/types.ts';
import type { Site } from '../../kernel/site.ts';
import { command, type MakeCommand } from '../command.ts';
import { EXIT } from '../failure.ts';
import { LISTEN_OPTION, loadSettings, SET_OPTION, type SettingOptions } from '../settings.ts';
import type { Terminal } from '../terminal.ts';
import { reachable, welcome } from '../welcome.ts';

export const serveCommand: MakeCommand = (terminal) =>
  command<SettingOptions>({
    command: 'serve',
    describe: 'Run a site; with no configuration file in ./data, S3 on 127.0.0.1:9000',
    builder: (yargs) =>
      yargs
        .option('listen', LISTEN_OPTION)
        .option('set', SET_OPTION)
        .example('$0 serve', 'a site in ./data')
        .example('$0 serve -c site.yaml --listen :9000', 'a configured one, on all interfaces')
        .example('$0 serve --set log.level=debug', 'any key of the configuration'),
    handler: async (options) => {
      const loaded = await loadSettings(terminal, options);
      const { createSite } = await import('../../kernel/site.ts');
      const site = createSite(loaded);
      const signals = stopOnSignals(site, terminal, options.json);
      try {
        await site.start();
        if (!signals.received()) announce(site, { terminal, json: options.json, loaded });
        await site.whenStopped();
      } finally {
        signals.ignore();
      }
    },
  });

interface Announcement {
  readonly terminal: Terminal;
  readonly json: boolean;
  readonly loaded: LoadedConfig;
}

/** Once everything answers: the first start's credentials, then the one line that scripts wait for. */
function announce(site: Site, { terminal, json, loaded }: Announcement): void {
  const root = site.rootCredentials();
  const addresses = site.addresses();
  const made = root?.created === true ? root : undefined;
  if (json) {
    const { dataDir } = loaded.config;
    const credentials =
      made === undefined ? {} : { rootCredentials: { file: made.file, accessKeyId: made.accessKeyId } };
    terminal.out(JSON.stringify({ event: 'ready', pid: process.pid, dataDir, addresses, ...credentials }));
    return;
  }
  if (made !== undefined) {
    const url = addresses.find((address) => address.startsWith('http'));
    const s3 = loaded.config.plugins.gateways.find(({ use }) => use === 's3');
    const endpoint = s3 === undefined || url === undefined ? undefined : reachable(url);
    const region = typeof s3?.['region'] === 'string' ? s3['region'] : 'us-east-1';
    terminal.out(welcome({ credentialsFile: made.file, endpoint, region, cwd: terminal.cwd }));
  }
  terminal.out(`ready ${addresses.join(' ')}`);
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** The first signal stops the site gracefully, the second ends the process. */
function stopOnSignals(site: Site, terminal: Terminal, json: boolean): { received(): boolean; ignore(): void } {
  let received = false;
  const listener = (signal: NodeJS.Signals): void => {
    if (received) process.exit(EXIT.failure);
    received = true;
    if (!json) terminal.err(`${signal}: stopping; running requests may finish, once more ends them`);
    // `whenStopped` has the failure.
    site.stop().catch(() => undefined);
  };
  for (const signal of SIGNALS) process.on(signal, listener);
  return {
    received: () => received,
    ignore() {
      for (const signal of SIGNALS) process.off(signal, listener);
    },
  };
}
