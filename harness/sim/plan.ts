/**
 * A run as data: sites, links, client operations and faults, all with times. Made from a seed, printed as JSON, and run again from
 * that, whole or with parts cut out; what chance still decides during a run is keyed, so that cutting shifts nothing else.
 */
import { generateFaults } from '../faults/generate.ts';
import type { Rot } from '../faults/rot.ts';
import type { FaultKind, PlannedFault } from '../faults/windows.ts';
import { generateSteps } from '../workload/generate.ts';
import type { ClientStep } from '../workload/steps.ts';
import { Draw } from './random.ts';
import type { SiteAdapter, SiteSetup } from './site.ts';

export type Topology = 'mesh' | 'ring' | 'star' | 'chain';

export interface Plan {
  readonly seed: number;
  readonly sites: readonly SiteSetup[];
  readonly topology: Topology;
  /** Pairs that know each other. */
  readonly links: readonly (readonly [string, string])[];
  /** Who calls whom, `[from, to]`: both ways over a link, unless one end cannot be called (a site behind NAT only dials out). */
  readonly dials: readonly (readonly [string, string])[];
  readonly steps: readonly ClientStep[];
  readonly faults: readonly PlannedFault[];
  /** Faults and clients end here, virtual milliseconds. */
  readonly activeMs: number;
  /** By then, all healed, the sites must have come to rest and to one state. */
  readonly settleMs: number;
  /** How long sites then have to give up what nobody needs any more; 0: that is not looked at. */
  readonly drainMs: number;
  /** Once everything is at rest. */
  readonly rot?: Rot;
}

export interface PlanOptions {
  /** Sites at most; default 1 for an adapter that does not replicate, else 5. */
  readonly sitesMax?: number;
  readonly sitesMin?: number;
  /** Client operations at most; default 70. */
  readonly stepsMax?: number;
  readonly removesBuckets?: boolean;
}

const NAMES = ['waw', 'ber', 'lis', 'osl', 'rom'] as const;
/** "120 simulated seconds after healing for up to five sites at a one-second poll". */
const SETTLE_MS = 120_000;
/** For so long peers hold one who goes by the id of another to be too many. */
const CLASH_MS = 120_000;
/** More than what was removed is remembered for (the adapter's), by clocks that were ahead too, and a few passes. */
const DRAIN_MS = 70_000;
/** More than other sites let in (MAX_CLOCK_DRIFT_MS). */
const FAR_AHEAD_MS = 9000;
/** In so many seeds sites may have the real meta-sqlite; files cost more than maps. */
const SQLITE_SEEDS = 0.12;
const ROT_SEEDS = 0.3;

export function generatePlan(seed: number, adapter: SiteAdapter, options: PlanOptions = {}): Plan {
  const draw = new Draw(seed, 'plan');
  const sitesMin = options.sitesMin ?? (adapter.replicates ? 2 : 1);
  const sitesMax = Math.max(sitesMin, options.sitesMax ?? (adapter.replicates ? NAMES.length : 1));
  const count = sitesMin + draw.below(sitesMax - sitesMin + 1);
  const names = NAMES.slice(0, count);
  const clocksAreOff = draw.chance(0.5);
  const farAhead = draw.chance(0.12) ? draw.pick(names) : undefined;
  const keepsLittle = adapter.recovers && draw.chance(0.5);
  const topology = draw.pick(['mesh', 'ring', 'star', 'chain'] as const);
  const links = linksOf(topology, names);
  const activeMs = draw.between(3000, 20_000);
  const shared = { seed, sites: names, forMs: activeMs };
  const faults = generateFaults({
    ...shared,
    links,
    recovers: adapter.recovers,
    trims: keepsLittle,
    corrupts: adapter.speaksProtocol,
  });
  const has = (...kinds: readonly FaultKind[]): boolean => faults.some(({ fault }) => kinds.includes(fault.kind));
  const copiesDisks = has('restore', 'clone');
  const drawMeta = new Draw(seed, 'meta-stores');
  const sqliteShare = drawMeta.chance(SQLITE_SEEDS) ? drawMeta.between(0.5, 1) : 0;
  const sites = names.map((name): SiteSetup => ({
    name,
    keepsLittle,
    chunkStore: draw.chance(0.25) || copiesDisks ? 'fs' : 'memory',
    metaStore: drawMeta.chance(sqliteShare) ? 'sqlite' : 'memory',
    clock: {
      offsetMs: name === farAhead ? FAR_AHEAD_MS : clocksAreOff ? Math.round(draw.between(-3000, 3000)) : 0,
      driftPpm: clocksAreOff ? Math.round(draw.between(-500, 500)) : 0,
    },
  }));
  const losesDisks = copiesDisks || has('wipe');
  const rot = losesDisks || !adapter.speaksProtocol ? undefined : planRot(new Draw(seed, 'rot'), names);
  const drains = keepsLittle && new Draw(seed, 'drains').chance(0.4);
  return {
    seed,
    sites,
    topology,
    links,
    dials: dialsOf(new Draw(seed, 'dials'), links, adapter.speaksProtocol && !has('restore')),
    steps: generateSteps({
      ...shared,
      steps: 10 + draw.below((options.stepsMax ?? 70) - 10),
      removesBuckets: options.removesBuckets ?? true,
      replicates: adapter.replicates,
    }),
    faults,
    activeMs,
    settleMs: SETTLE_MS + (has('clone') ? CLASH_MS : 0),
    // a wiped site's earlier self is a member until it is missed
    drainMs: drains && !losesDisks ? DRAIN_MS : 0,
    ...(rot === undefined ? {} : { rot }),
  };
}

function planRot(draw: Draw, names: readonly string[]): Rot | undefined {
  if (!draw.chance(ROT_SEEDS)) return undefined;
  return { site: draw.pick(names), share: draw.pick([0.1, 0.5, 1]), isAlone: draw.chance(0.5) };
}

function dialsOf(draw: Draw, links: Plan['links'], speaksProtocol: boolean): Plan['dials'] {
  const oneWay = speaksProtocol && draw.chance(0.35) ? draw.between(0.2, 1) : 0;
  return links.flatMap(([a, b]): Plan['dials'] => {
    const both = [[a, b] as const, [b, a] as const];
    return draw.chance(oneWay) ? [draw.pick(both)] : both;
  });
}

function linksOf(topology: Topology, names: readonly string[]): readonly (readonly [string, string])[] {
  const [hub = ''] = names;
  const pairs: (readonly [string, string])[] = [];
  names.forEach((name, i) => {
    const next = names[i + 1];
    if (topology === 'mesh') for (const other of names.slice(i + 1)) pairs.push([name, other]);
    else if (topology === 'star') pairs.push(...(i === 0 ? [] : ([[hub, name]] as const)));
    else if (next !== undefined) pairs.push([name, next]);
  });
  const last = names.at(-1);
  if (topology === 'ring' && names.length > 2 && last !== undefined) pairs.push([last, hub]);
  return pairs;
}
