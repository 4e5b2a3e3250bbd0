/**
 * Import directions: reads every source in core, plugins and harness and applies .dependency-cruiser.cjs.
 * A cruise that saw fewer modules than there are files passes whatever it is asked, so the count is checked first.
 */
import { existsSync, globSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

import { cruise, type ICruiseOptions, type ICruiseResult, type IForbiddenRuleType } from 'dependency-cruiser';

export interface Breach {
  readonly rule: string;
  readonly from: string;
  readonly to: string;
  readonly why: string;
}

export interface ImportReport {
  readonly modules: number;
  readonly breaches: readonly Breach[];
}

interface CruiserConfig {
  readonly forbidden: readonly (IForbiddenRuleType & { readonly name: string; readonly comment: string })[];
  readonly options: ICruiseOptions;
}

const ROOMS = ['core', 'plugins', 'harness'];

export const importRules = createRequire(import.meta.url)('../.dependency-cruiser.cjs') as CruiserConfig;

/** Cruises the checkout at `root`; throws when a source file was not seen. */
export async function cruiseImports(root: string): Promise<ImportReport> {
  const rooms = ROOMS.filter((room) => existsSync(`${root}/${room}`));
  const sources = globSync(`{${ROOMS.join(',')}}/**/*.ts`, { cwd: root });
  const { output } = await cruise(rooms, {
    ...importRules.options,
    baseDir: root,
    validate: true,
    ruleSet: { forbidden: [...importRules.forbidden] },
  });
  const result = output as ICruiseResult;
  const seen = new Set(result.modules.map((module) => module.source));
  const missed = sources.filter((path) => !seen.has(path.replaceAll('\\', '/')));
  if (seen.size === 0 || missed.length > 0) {
    throw new Error(`dependency-cruiser saw ${seen.size} modules and missed ${missed.length}: ${missed.join(', ')}`);
  }
  return { modules: seen.size, breaches: result.summary.violations.map(toBreach) };
}

function toBreach(violation: ICruiseResult['summary']['violations'][number]): Breach {
  const rule = importRules.forbidden.find(({ name }) => name === violation.rule.name);
  return { rule: violation.rule.name, from: violation.from, to: violation.to, why: rule?.comment ?? '' };
}

async function main(): Promise<void> {
  const { modules, breaches } = await cruiseImports(process.cwd());
  for (const { rule, from, to, why } of breaches) console.error(`${from} -> ${to}\n  ${rule}: ${why}`);
  console.log(`${modules} modules, ${breaches.length} breaches`);
  if (breaches.length > 0) process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
