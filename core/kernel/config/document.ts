/** A configuration file as written: its values, and the line and column of each. YAML 1.2, of which JSON is a part. */
import { isCollection, isMap, isNode, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import type { KeyPath, Problem, ValueSource } from './problems.ts';

export interface ConfigDocument {
  readonly values: unknown;
  readonly problems: readonly Problem[];
  /** Where the key (or the value) at `path` stands; of the nearest ancestor that is in the file when it is not. */
  locate(path: KeyPath, what: 'key' | 'value'): ValueSource;
  has(path: KeyPath): boolean;
}

/** `file` is the name to show. Never throws: what is wrong is in `problems`. */
export function parseConfigDocument(text: string, file: string): ConfigDocument {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: true, strict: true });
  const at = (offset: number): ValueSource => {
    const { line, col } = lineCounter.linePos(offset);
    return { kind: 'file', file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const problems: Problem[] = [...document.errors, ...document.warnings].map((error) => ({
    source: at(error.pos[0]),
    key: '',
    problem: firstSentence(error.message),
  }));
  let values: unknown = {};
  if (problems.length === 0) {
    try {
      values = document.toJS({ maxAliasCount: 100 }) ?? {};
    } catch (error) {
      problems.push({ source: at(0), key: '', problem: (error as Error).message });
    }
  }
  return {
    values,
    problems,
    locate: (path, what) => at(offsetOf(document, path, what)),
    has: (path) => path.length === 0 || document.hasIn(path.map(asKey)),
  };
}

function firstSentence(message: string): string {
  return message.split('\n')[0] ?? message;
}

/** yaml addresses list items by number. */
function asKey(segment: string): string | number {
  return /^\d+$/.test(segment) ? Number(segment) : segment;
}

function offsetOf(document: Document, path: KeyPath, what: 'key' | 'value'): number {
  let node: unknown = document.contents;
  let offset = rangeStart(node) ?? 0;
  for (const [index, segment] of path.entries()) {
    const key = pairKey(node, segment);
    const child = isCollection(node) ? node.get(asKey(segment), true) : undefined;
    if (key === undefined && child === undefined) return offset;
    const wantsKey = what === 'key' && index === path.length - 1;
    offset = (wantsKey ? rangeStart(key) : undefined) ?? rangeStart(child) ?? rangeStart(key) ?? offset;
    node = child;
  }
  return offset;
}

function pairKey(node: unknown, segment: string): unknown {
  if (!isMap(node)) return undefined;
  return node.items.find(({ key }) => isScalar(key) && String(key.value) === segment)?.key;
}

function rangeStart(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
