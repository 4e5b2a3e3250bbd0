/** What runs on the thread of thread-adapter.ts: answers requests in order, each with one reply. */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

import { META_SPACES, type MetaCheckReport, type MetaSpace } from '../../core/contracts/index.ts';
import { toSkerryError } from './errors.ts';
import type { Options } from './options.ts';
import { configure, runCheckpoint, type CheckpointResult } from './sqlite-adapter.ts';

export interface WorkerInput {
  readonly path: string;
  readonly options: Options;
}

export interface Results {
  readonly checkpoint: CheckpointResult;
  readonly check: MetaCheckReport;
}

export type Request = keyof Results | 'stop';

export type Reply =
  | { readonly ok: true; readonly result: Results[keyof Results] }
  | { readonly ok: false; readonly doing: string; readonly message: string; readonly errcode: unknown };

/** SQLite stops looking after this many problems. */
const MAX_PROBLEMS = 100;

function check(db: DatabaseSync): MetaCheckReport {
  const problems = findProblems(db);
  const rows: Partial<Record<MetaSpace, number>> = {};
  if (problems.length === 0) for (const space of META_SPACES) rows[space] = countRows(db, space);
  return { ok: problems.length === 0, problems, rows };
}

/** Damage that keeps SQLite from looking any further is a finding too, not a failure of the check. */
function findProblems(db: DatabaseSync): string[] {
  try {
    const found = db.prepare(`PRAGMA integrity_check(${MAX_PROBLEMS})`).all() as { integrity_check: string }[];
    return found.map((row) => row.integrity_check).filter((text) => text !== 'ok');
  } catch (error) {
    const failure = toSkerryError(error, 'integrity check');
    if (failure.code !== 'Corrupt') throw error;
    return [failure.message];
  }
}

function countRows(db: DatabaseSync, space: MetaSpace): number {
  return (db.prepare(`SELECT count(*) AS n FROM "${space}"`).get() as { n: number }).n;
}

function answer(db: DatabaseSync, request: keyof Results): Reply {
  try {
    return { ok: true, result: request === 'check' ? check(db) : runCheckpoint(db) };
  } catch (error) {
    const { message, errcode } = error as { message: string; errcode?: unknown };
    return { ok: false, doing: request, message, errcode };
  }
}

const port = parentPort;
if (port !== null) {
  const { path, options } = workerData as WorkerInput;
  const db = new DatabaseSync(path, { timeout: options.busyTimeoutMs });
  configure(db, { ...options, cacheBytes: 1024 * 1024 });
  port.on('message', (request: Request) => {
    if (request !== 'stop') return port.postMessage(answer(db, request));
    db.close();
    port.close();
  });
}
