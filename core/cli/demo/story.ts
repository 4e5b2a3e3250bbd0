/** The story of the demonstration: writes everywhere, a broken network, writes on both sides of it, a conflict, and agreement. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SkerryError } from '../../contracts/index.ts';
import { table, type Terminal } from '../terminal.ts';
import type { Fleet, View } from './fleet.ts';

export const SITES = ['waw', 'ber', 'lis'] as const;
const MENU = 'menu.txt';
const POLL_MS = 20;
/** Digits of a digest that people compare. */
const DIGEST_SHOWN = 32;

export interface Telling {
  readonly fleet: Fleet;
  /** Says one thing, a line or several. */
  readonly say: (text: string) => void;
  readonly progress: Terminal['progress'];
  /** Between chapters, for those who read along. */
  readonly pauseMs: number;
  /** How long the sites may take to become equal, each time. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

/** What everybody has in the end. */
export interface Ending {
  readonly digest: string;
  readonly keys: readonly string[];
  readonly conflicts: number;
}

export async function tell(telling: Telling): Promise<Ending> {
  await writeEverywhere(telling);
  await pause(telling);
  await partition(telling);
  await pause(telling);
  return heal(telling);
}

async function pause({ pauseMs, signal }: Telling): Promise<void> {
  signal.throwIfAborted();
  if (pauseMs > 0) await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
}

async function writeEverywhere(telling: Telling): Promise<void> {
  const { fleet, say } = telling;
  say('\n1. Every site takes writes.');
  await fleet.site('waw').createBucket();
  await untilEqual(telling, 'the bucket is everywhere');
  for (const site of fleet.sites) {
    await site.put(`${site.name}/first.txt`, `written at ${site.name}`);
    say(`   ${site.name} takes ${site.name}/first.txt`);
  }
  const { took, views } = await untilEqual(telling, 'every site has all three');
  say(`   ${took} later every site has all three:\n${digests(telling, views)}`);
}

async function partition(telling: Telling): Promise<void> {
  const { fleet, say } = telling;
  const [waw, ber, lis] = SITES.map((name) => fleet.site(name)) as [Site, Site, Site];
  say('\n2. The network breaks: waw is alone, ber and lis still hear each other.');
  fleet.isolate('waw');
  const writes: readonly (readonly [Site, string, string])[] = [
    [waw, 'waw/storm.txt', 'alone'],
    [ber, 'ber/calm.txt', 'together'],
    [waw, MENU, 'soup'],
    [lis, MENU, 'fish'],
  ];
  for (const [site, key, text] of writes) {
    await site.put(key, text);
    say(`   ${site.name} takes ${key}: "${text}"`);
  }
  say('   Nobody had to wait for anybody: each write is safe on the disk of its site.');
  await untilEqual(telling, 'ber and lis agree', ['ber', 'lis']);
  const rows = await Promise.all(
    fleet.sites.map(async (site) => [site.name, await site.get(MENU), String((await site.view()).keys.length)]),
  );
  say(`   Until the network is back the two sides differ:\n${indent(table(['site', MENU, 'objects'], rows, ''))}`);
}

async function heal(telling: Telling): Promise<Ending> {
  const { fleet, say } = telling;
  say('\n3. The network is back.');
  fleet.heal();
  const { took, views } = await untilEqual(telling, 'all sites are equal again');
  say(`   ${took} later all sites are equal again; one digest covers everything that they replicate:`);
  say(digests(telling, views));
  const [view] = views as [View, ...View[]];
  const conflict = view.conflicts.find(({ key }) => key === MENU);
  const [loser] = conflict?.losers ?? [];
  if (conflict === undefined || loser === undefined)
    throw new SkerryError('Internal', `${MENU} was written on both sides and is not listed as a conflict`);
  const current = await sameEverywhere(fleet, MENU);
  const kept = await sameEverywhere(fleet, MENU, loser.versionId);
  say(
    [
      `   ${MENU} was written on both sides, unseen by each other: a conflict. Every site picked the same winner without asking`,
      `   anybody, "${current}" of ${conflict.winner.site}; "${kept}" of ${loser.site} is kept at every site, and listed, until somebody decides.`,
    ].join('\n'),
  );
  return { digest: view.digest, keys: view.keys, conflicts: view.conflicts.length };
}

type Site = Fleet['sites'][number];

async function sameEverywhere(fleet: Fleet, key: string, versionId?: string): Promise<string> {
  const texts = new Set(await Promise.all(fleet.sites.map((site) => site.get(key, versionId))));
  const [text = ''] = texts;
  if (texts.size === 1) return text;
  throw new SkerryError('Internal', `sites of equal digests read ${key} differently: ${[...texts].join(', ')}`);
}

interface Equal {
  readonly took: string;
  readonly views: readonly View[];
}

/** Until these sites (default: all) have seen the same and show the same. Rejects `Timeout` when that takes too long. */
async function untilEqual(telling: Telling, what: string, names: readonly string[] = SITES): Promise<Equal> {
  const { fleet, progress, waitMs, signal } = telling;
  const sites = names.map((name) => fleet.site(name));
  const startedMs = performance.now();
  const elapsedMs = (): number => performance.now() - startedMs;
  try {
    for (;;) {
      signal.throwIfAborted();
      const views = await Promise.all(sites.map((site) => site.view()));
      const lacks = difference(names, views);
      if (lacks === undefined) return { took: duration(elapsedMs()), views };
      if (elapsedMs() >= waitMs) throw notEqual(what, lacks, waitMs);
      progress?.(`   waiting until ${what}: ${lacks} (${duration(elapsedMs())})`);
      await sleep(POLL_MS);
    }
  } finally {
    progress?.('');
  }
}

/** Why they are not equal yet; `undefined` when they are. Throws when they cannot become equal any more. */
function difference(names: readonly string[], views: readonly View[]): string | undefined {
  const all = new Set(views.flatMap(({ vector }) => Object.keys(vector)));
  for (const origin of all) {
    const most = Math.max(...views.map(({ vector }) => vector[origin] ?? 0));
    const behind = views.findIndex(({ vector }) => (vector[origin] ?? 0) < most);
    if (behind >= 0) return `${names[behind]} lacks writes of ${origin.split('.')[0]}`;
  }
  const pending = views.findIndex(({ pendingVersions }) => pendingVersions > 0);
  if (pending >= 0) return `${names[pending]} lacks bytes`;
  const [first, ...others] = views;
  const shown = (view: View | undefined): string => JSON.stringify([view?.digest, view?.keys]);
  if (others.every((view) => shown(view) === shown(first))) return undefined;
  return 'sites that have seen the same show different digests';
}

function notEqual(what: string, lacks: string, waitMs: number): SkerryError {
  return new SkerryError('Timeout', `after ${waitMs / 1000} s it is still not so that ${what}: ${lacks}`, {
    details: { hint: 'a busy machine may need longer: --wait' },
  });
}

function digests({ fleet }: Telling, views: readonly View[]): string {
  const rows = views.map(({ digest, keys, conflicts }, i) => [
    fleet.sites[i]?.name ?? '',
    digest.slice(0, DIGEST_SHOWN),
    String(keys.length),
    String(conflicts.length),
  ]);
  return indent(table(['site', 'digest', 'objects', 'conflicts'], rows, ''));
}

const duration = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
const indent = (text: string): string => text.replaceAll(/^/gm, '     ');
