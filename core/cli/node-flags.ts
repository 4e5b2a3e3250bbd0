/**
 * Flags of node that a site runs with. They cannot be set any more once node has started, and a package's `bin` cannot name
 * them in a way that every system knows, so the process replaces itself: same id, same terminal, no parent in between.
 */

/**
 * By default the young generation grows to 128 MiB for a server: as much as the whole site needs besides. With 12 MiB it costs
 * the same CPU (measured at 64 clients) and the process stays within what docs promise.
 */
const YOUNG_GENERATION = '--max-semi-space-size=4';
/** What outlived its youth is collected from here on, not from a limit that would let garbage grow beyond all the rest. */
const OLD_GENERATION = '--initial-old-space-size=48';
/** glibc keeps an arena a thread, each with its own holes: measured 20 MiB more. */
const ALLOCATOR = { MALLOC_ARENA_MAX: '2' } as const;

/** The parts of `process` that matter here. */
export type Restartable = Pick<NodeJS.Process, 'argv' | 'env' | 'execArgv' | 'execPath'> &
  Partial<Pick<NodeJS.Process, 'execve'>>;

/** Does not return when the process has to start over. Whoever chose a size of the young generation keeps it. */
export function ensureNodeFlags(target: Restartable): void {
  const { argv, env, execArgv, execPath, execve } = target;
  const chosen = [...execArgv, env['NODE_OPTIONS'] ?? ''].some((flag) => flag.includes('semi-space-size'));
  if (execve === undefined || process.platform === 'win32' || chosen || !argv.slice(2).includes('serve')) return;
  const args = [execPath, ...execArgv, YOUNG_GENERATION, OLD_GENERATION, ...argv.slice(1)];
  execve.call(target, execPath, args, { ...ALLOCATOR, ...env });
}
