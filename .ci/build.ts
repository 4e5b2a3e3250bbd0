/**
 * `npm run build`: a clean dist/ laid out as the sources are: tsc emits .js, .d.ts and maps, everything else that the
 * rooms hold (schemas, pages, READMEs) is copied beside it.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const DIST = 'dist';
const COMMAND = join(DIST, 'core/cli.js');

interface Manifest {
  readonly version: string;
}

function isAsset(source: string): boolean {
  return !source.endsWith('.ts');
}

/** Code finds its version at the same relative path in the checkout and in the package: ../package.json from core/. */
function writeInnerManifest(): void {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;
  writeFileSync(join(DIST, 'package.json'), `${JSON.stringify({ private: true, type: 'module', version }, null, 2)}\n`);
}

rmSync(DIST, { recursive: true, force: true });
const { status } = spawnSync('tsc', ['-p', '.tsconfig.build.json'], { stdio: 'inherit' });
if (status !== 0) process.exit(1);
for (const room of ['core', 'plugins', 'harness'].filter((name) => existsSync(name))) {
  cpSync(room, join(DIST, room), { recursive: true, filter: isAsset });
}
writeInnerManifest();
if (existsSync(COMMAND)) chmodSync(COMMAND, 0o755);
