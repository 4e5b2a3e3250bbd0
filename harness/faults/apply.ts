/** Begins planned faults in a running world, ends them when their time is over, and heals all of them at last. */
import type { Network } from '../sim/network.ts';
import type { Scheduler } from '../sim/scheduler.ts';
import type { SimSite } from '../sim/site.ts';
import type { Fault } from './windows.ts';

/** What faults work on. */
export interface Faulty {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly sites: readonly SimSite[];
  mark(name: string): void;
  /** Everything on the disks of this site is about to go. */
  loses(site: SimSite): void;
}

export async function applyFault(world: Faulty, fault: Fault): Promise<void> {
  world.mark(`fault ${fault.kind}`);
  if (fault.kind === 'cut' || fault.kind === 'link') return applyLinkFault(world, fault);
  const site = world.sites.find(({ name }) => name === fault.site);
  if (site === undefined) throw new RangeError(`a fault names an unknown site ${fault.site}`);
  const startLater = (downMs: number): void => startAfter(world, site, downMs);
  switch (fault.kind) {
    case 'crash':
      site.survival = fault.survival;
      site.crash();
      return startLater(fault.downMs);
    case 'crashAt':
      site.survival = fault.survival;
      site.onCrashPoint = (point) => {
        world.mark(`crash at ${point}`);
        startLater(fault.downMs);
      };
      return site.faults.crashAt(fault.point, fault.nth);
    case 'restart':
      return restart(world, site, fault.downMs);
    case 'wipe':
      world.loses(site);
      await site.wipe();
      return startLater(fault.downMs);
    case 'backUp':
      if (await site.backUp()) world.mark('backup taken');
      return;
    case 'restore':
      if (!site.hasBackup) return;
      world.loses(site);
      await site.restore(fault.isNoticed);
      world.mark('backup restored');
      return startLater(fault.downMs);
    case 'clone':
      return cloneFor(world, site, fault);
    case 'disk':
      site.faults.begin(fault.what, fault.rate);
      world.scheduler.after(fault.forMs, `ends ${fault.what}`, () => site.faults.end(fault.what));
      return;
    case 'clockJump':
      return site.clock.jump(fault.byMs);
    case 'clockFreeze':
      site.clock.freeze();
      world.scheduler.after(fault.forMs, 'ends freeze', () => site.clock.correct());
  }
}

const startAfter = ({ scheduler }: Pick<Faulty, 'scheduler'>, site: SimSite, downMs: number): void =>
  void scheduler.after(downMs, `starts ${site.name}`, () => site.start());

function restart(world: Faulty, site: SimSite, downMs: number): void {
  // a clean stop takes virtual time, so it must not hold up the event that began it
  void site.stop().then(() => startAfter(world, site, downMs));
}

async function cloneFor(
  world: Faulty,
  site: SimSite,
  { isNoticed, forMs }: Extract<Fault, { readonly kind: 'clone' }>,
): Promise<void> {
  const clone = await site.clone(isNoticed);
  if (clone === undefined) return;
  world.mark('site cloned');
  await clone.start();
  world.scheduler.after(forMs, `ends ${clone.name}`, () => {
    world.loses(clone);
    clone.crash();
    // as its operator is told to; a copy that knows that it is one lets the original write on
    if (!isNoticed) restart(world, site, 0);
  });
}

function applyLinkFault(
  { scheduler, network }: Faulty,
  fault: Extract<Fault, { readonly kind: 'cut' | 'link' }>,
): void {
  const { from, to, forMs } = fault;
  if (fault.kind === 'link') {
    for (const [a, b] of [
      [from, to],
      [to, from],
    ] as const) {
      network.setQuality(a, b, fault.quality);
    }
    return;
  }
  const heal: (() => void)[] = [];
  const cut = (a: string, b: string): void => {
    network.cut(a, b);
    heal.push(() => network.heal(a, b));
  };
  cut(from, to);
  if (fault.bothWays) cut(to, from);
  scheduler.after(forMs, 'heals', () => heal.forEach((one) => one()));
}

/** The world as it should be: all links whole, disks and clocks right, every site up. */
export function healAll({ scheduler, network, sites }: Faulty): void {
  network.healAll();
  for (const site of sites) {
    site.faults.clear();
    site.clock.correct();
    startAfter({ scheduler }, site, 0);
  }
}
