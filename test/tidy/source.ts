/** What the tidy rules look at: the repository's own files, read once, TypeScript parsed on demand. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

import ts from 'typescript';

/** One file of the repository. `path` is relative to the root, with forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

export interface Finding {
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  /** What is wrong and what to do instead. */
  readonly message: string;
}

/** A rule over one file. It answers nothing for files it is not about. */
export type Rule = (file: SourceFile) => readonly Finding[];

const BINARY = /\.(png|jpe?g|gif|ico|gz|tgz|zip|bin|sqlite|woff2?)$/;

/** Files that git tracks or would track: a new file is judged before it is committed. */
export function listFiles(root: string): readonly string[] {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate'];
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' })
    .split('\0')
    .filter((path) => path !== '');
}

/** Text of `path`, or undefined for binary files and files deleted but not yet committed as deleted. */
export function readSource(root: string, path: string): SourceFile | undefined {
  if (BINARY.test(path)) return undefined;
  try {
    return { path, text: readFileSync(`${root}/${path}`, 'utf8') };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const trees = new WeakMap<SourceFile, ts.SourceFile>();

export function parse(file: SourceFile): ts.SourceFile {
  const known = trees.get(file);
  if (known !== undefined) return known;
  const tree = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  trees.set(file, tree);
  return tree;
}

export function lineOf(node: ts.Node, position = node.getStart()): number {
  return node.getSourceFile().getLineAndCharacterOfPosition(position).line + 1;
}

export function finding(file: SourceFile, node: ts.Node, message: string): Finding {
  return { path: file.path, line: lineOf(node), message };
}

/** Every node of the tree, parents first. */
export function* walk(node: ts.Node): Generator<ts.Node> {
  yield node;
  for (const child of node.getChildren()) yield* walk(child);
}

/** TypeScript of ours that the size and marker rules hold for. */
export function isCode(path: string): boolean {
  return /^(core|plugins|harness|test|\.ci)\/.*\.ts$/.test(path);
}

export function isTest(path: string): boolean {
  return path.endsWith('.test.ts');
}
