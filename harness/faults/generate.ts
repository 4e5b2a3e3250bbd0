/** Fault windows from a seed. Swarm: each seed has some kinds on and others off, with rates of its own. */
import { CRASH_POINTS, type DiskFaultKind } from '../sim/disk-faults.ts';
import { Draw } from '../sim/random.ts';
import type { Fault, FaultKind, PlannedFault } from './windows.ts';

export interface FaultOptions {
  readonly seed: number;
  readonly sites: readonly string[];
  /** Pairs of sites that talk. */
  readonly links: readonly (readonly [string, string])[];
  readonly forMs: number;
  /** Sites may lose everything and catch up from the others. */
  readonly recovers: boolean;
  /** Sites trim their oplogs: nobody can prove that a set back site has the same history, so that its start must notice. */
  readonly trims: boolean;
  /** Frames may arrive damaged. */
  readonly corrupts: boolean;
}

/** How often each kind comes in a seed that has it on. */
const EVERY_MS: Readonly<Record<FaultKind, number>> = {
  crash: 6000,
  crashAt: 3000,
  restart: 9000,
  disk: 6000,
  clockJump: 6000,
  clockFreeze: 12_000,
  cut: 4000,
  link: 4000,
  wipe: 30_000,
  backUp: 5000,
  restore: 9000,
  clone: 9000,
};

const DISK_FAULTS: Readonly<Record<DiskFaultKind, (draw: Draw) => number>> = {
  slow: (draw) => draw.between(3, 60),
  syncFails: (draw) => draw.between(0.1, 0.6),
  appendFails: (draw) => draw.between(0.05, 0.4),
  metaFails: (draw) => draw.between(0.05, 0.3),
};

/** Where removals are forgotten soon, sites meet before anything goes wrong: who writes alone for long is not let in (decision 27). */
const JOIN_MS = 3000;

const CLOCK_JUMPS_MS = [-3_600_000, -60_000, -2000, -5, 5, 900, 2000, 12_000] as const;

export function generateFaults(options: FaultOptions): readonly PlannedFault[] {
  const { seed, forMs } = options;
  const planned: PlannedFault[] = [];
  const cloning = new Draw(seed, 'fault cloning');
  // peers refuse both for minutes; where removals are forgotten soon, who wrote meanwhile is then turned away
  if (options.recovers && !options.trims && cloning.chance(0.15)) return planClone(cloning, options);
  const setBack = new Draw(seed, 'fault setting back');
  // who is set back has to reach somebody before it writes on, or it makes a second history: nothing else goes wrong then
  if (options.recovers && setBack.chance(0.15)) return planRestores(setBack, options);
  for (const kind of kindsOf(options)) {
    const draw = new Draw(seed, `fault ${kind}`);
    if (!draw.chance(0.5)) continue;
    const everyMs = EVERY_MS[kind] * draw.between(0.4, 2);
    let nth = 0;
    for (
      let atMs = draw.between(300, everyMs) + (options.trims ? JOIN_MS : 0);
      atMs < forMs;
      atMs += draw.between(0.2, 1.8) * everyMs
    ) {
      planned.push({ id: `${kind}${nth++}`, atMs, fault: makeFault(kind, draw, options) });
    }
  }
  planned.sort((a, b) => a.atMs - b.atMs);
  return options.trims ? oneIsWiped(planned) : planned;
}

/** Two new sites that are alone together for longer than half the grace turn the last one with the data away by design (decision 27). */
function oneIsWiped(planned: readonly PlannedFault[]): readonly PlannedFault[] {
  const lost = planned.find(({ fault }) => fault.kind === 'wipe')?.fault;
  const site = lost?.kind === 'wipe' ? lost.site : undefined;
  return planned.filter(({ fault }) => fault.kind !== 'wipe' || fault.site === site);
}

function planRestores(draw: Draw, { sites, forMs, trims }: FaultOptions): readonly PlannedFault[] {
  const site = draw.pick(sites);
  const backUpMs = draw.between(200, forMs * 0.5);
  const restoreMs = backUpMs + draw.between(100, forMs * 0.4);
  return [
    { id: 'backUp', atMs: backUpMs, fault: { kind: 'backUp', site } },
    {
      id: 'restore',
      atMs: restoreMs,
      // later than anything that is still on its way
      fault: { kind: 'restore', site, downMs: draw.between(5000, 8000), isNoticed: draw.chance(0.4) || trims },
    },
  ];
}

/** Nothing else goes wrong: who writes for long while its copy is taken for it stands still until somebody decides. */
function planClone(draw: Draw, { sites, forMs }: FaultOptions): readonly PlannedFault[] {
  const atMs = draw.between(200, forMs * 0.5);
  const clone = { site: draw.pick(sites), isNoticed: draw.chance(0.5), forMs: draw.between(500, forMs * 0.4) };
  return [{ id: 'clone', atMs, fault: { kind: 'clone', ...clone } }];
}

function kindsOf({ links, recovers }: FaultOptions): readonly FaultKind[] {
  const network: FaultKind[] = links.length > 0 ? ['cut', 'link'] : [];
  return [
    'crash',
    'crashAt',
    'restart',
    'disk',
    'clockJump',
    'clockFreeze',
    ...network,
    ...(recovers ? (['wipe'] as const) : []),
  ];
}

function makeFault(kind: FaultKind, draw: Draw, { sites, links, corrupts }: FaultOptions): Fault {
  const site = draw.pick(sites);
  const downMs = draw.chance(0.5) ? draw.between(1, 50) : draw.between(50, 3000);
  const survival = draw.pick([0, 0.1, 0.5, 0.9, 1]);
  switch (kind) {
    case 'crash':
      return { kind, site, survival, downMs };
    case 'crashAt':
      return { kind, site, point: draw.pick(CRASH_POINTS), nth: 1 + draw.below(6), survival, downMs };
    case 'backUp':
      return { kind, site };
    case 'restore':
      return { kind, site, downMs, isNoticed: true };
    case 'clone':
      return { kind, site, isNoticed: true, forMs: downMs };
    case 'restart':
    case 'wipe':
      return { kind, site, downMs };
    case 'disk': {
      const what = draw.pick(Object.keys(DISK_FAULTS) as DiskFaultKind[]);
      return { kind, site, what, rate: DISK_FAULTS[what](draw), forMs: draw.between(200, 3000) };
    }
    case 'clockJump':
      return { kind, site, byMs: draw.pick(CLOCK_JUMPS_MS) };
    case 'clockFreeze':
      return { kind, site, forMs: draw.between(100, 4000) };
    case 'cut': {
      const [from, to] = draw.chance(0.5) ? draw.pick(links) : (draw.pick(links).toReversed() as [string, string]);
      return { kind, from, to, bothWays: draw.chance(0.6), forMs: draw.between(50, 8000) };
    }
    case 'link': {
      const [from, to] = draw.pick(links);
      return { kind, from, to, quality: makeQuality(draw, corrupts), forMs: draw.between(500, 8000) };
    }
  }
}

function makeQuality(draw: Draw, corrupts: boolean) {
  return {
    delayMs: draw.pick([0, 1, 20, 150]),
    jitterMs: draw.pick([0, 5, 100, 600]),
    drop: draw.pick([0, 0, 0.1, 0.5]),
    duplicate: draw.pick([0, 0.1, 0.5]),
    replayMs: draw.pick([10, 500, 8000]),
    cutShort: draw.pick([0, 0, 0.1, 0.5]),
    corrupt: corrupts ? draw.pick([0, 0, 0.05, 0.3]) : 0,
  };
}
