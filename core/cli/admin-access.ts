/** Administration of a site: over its admin socket while it runs, directly on its data while it does not. */
import { readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { isSkerryError, SkerryError, type AdminService } from '../contracts/index.ts';
import type { LoadedConfig } from '../kernel/config/types.ts';
import { adminClient, socketAnswers } from './admin-client.ts';
import { loadSettings } from './settings.ts';
import type { GlobalOptions, Terminal } from './terminal.ts';

export interface Reached {
  /** True: over the socket. */
  readonly running: boolean;
}

/** A site that is not running is opened under the lock of its data directory, without gateways, for as long as `use` takes. */
export async function withAdmin<T>(
  terminal: Terminal,
  options: GlobalOptions,
  use: (admin: AdminService, reached: Reached) => Promise<T>,
): Promise<T> {
  // Logs are for a site that serves; here whatever goes wrong is the command's own error.
  const loaded = await loadSettings(terminal, { ...options, set: ['log.level=silent'] });
  const { dataDir } = loaded.config;
  await requireSite(dataDir);
  const socketPath = shorter(join(dataDir, 'admin.sock'), terminal.cwd);
  if (!(await socketAnswers(socketPath))) return useOffline(loaded, use);
  const token = await readToken(join(dataDir, 'admin.token'));
  return use(adminClient({ socketPath, token }), { running: true });
}

/** Nobody wants a typing error to leave a new site behind. */
export async function requireSite(dataDir: string): Promise<void> {
  const found = await stat(join(dataDir, 'site.json')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw new SkerryError('Io', `cannot look into ${dataDir}: ${error.message}`, { cause: error });
  });
  if (found !== undefined) return;
  throw new SkerryError('NotFound', `there is no site in ${dataDir}`, {
    details: { dataDir, hint: 'skerry serve makes one; another place is named by --data-dir or --config' },
  });
}

/** A socket path is limited to about a hundred bytes; the gateway binds it the same way. */
function shorter(path: string, cwd: string): string {
  const fromHere = relative(cwd, path);
  return Buffer.byteLength(fromHere) < Buffer.byteLength(path) ? fromHere : path;
}

async function readToken(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new SkerryError('AccessDenied', `cannot read the admin token ${file}: ${(error as Error).message}`, {
      cause: error,
      details: { hint: 'run the command as the user that runs the site' },
    });
  }
}

async function useOffline<T>(
  loaded: LoadedConfig,
  use: (admin: AdminService, reached: Reached) => Promise<T>,
): Promise<T> {
  // Only here: a command to a running site need not wait for the whole store to load.
  const { createSite } = await import('../kernel/site.ts');
  const site = createSite(loaded, { gateways: false });
  await site.start().catch((error: unknown) => {
    throw isSkerryError(error, 'Locked') ? unanswered(error) : error;
  });
  try {
    return await use(site.services().admin, { running: false });
  } finally {
    await site.stop();
  }
}

/** Somebody has the data and does not answer on the socket. */
function unanswered(error: SkerryError): SkerryError {
  const hint =
    'it does not answer on its admin socket: it may still be starting or already stopping, or admin.enabled is false';
  return new SkerryError('Locked', error.message, { cause: error, details: { ...error.details, hint } });
}
