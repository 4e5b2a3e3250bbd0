/** A worker thread that runs seeds; with a planted bug, patched in before any of the patched code is loaded. */
import { parentPort, workerData } from 'node:worker_threads';
import { plantMutation } from '../mutations/loader.ts';
import type { SeedAnswer, SeedRequest, WorkerTask } from './run-many.ts';

const { world, plan, mutation } = workerData as WorkerTask;
const port = parentPort;
if (port === null) throw new Error('this is the main of a worker thread');
if (mutation !== undefined) plantMutation(mutation);

// only now: what is imported from here on may be patched
const { runSeed } = await import('./run.ts');
const { adapters } = await import('./adapters.ts');
const options = { adapter: adapters[world], ...(plan === undefined ? {} : { plan }) };

async function answer({ seed, twice }: SeedRequest): Promise<SeedAnswer> {
  const result = await runSeed(seed, options);
  const isStable = !twice || (await runSeed(seed, options)).traceHash === result.traceHash;
  return { result, isStable };
}

port.on('message', (request: SeedRequest) => {
  // a rejection is a fault of the harness: unhandled, it ends the worker, and whoever asked is told
  void answer(request).then((answered) => port.postMessage(answered));
});
