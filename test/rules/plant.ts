/** Preloaded by score.ts: plants the bug that the environment names before the test file is loaded. */
import { mutations } from '../../harness/mutations/index.ts';
import { plant } from '../../harness/mutations/loader.ts';
import { ruleMutations } from '../../harness/mutations/rules.ts';

const name = process.env['SKERRY_RULE_BREAK'];
const mutation = [...ruleMutations, ...mutations].find((one) => one.name === name);
if (mutation === undefined) throw new RangeError(`no mutation is called ${name}`);
plant(mutation);
