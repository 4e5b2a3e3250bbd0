/** What a finished change does not leave behind: markers, silenced tests, paths of one machine, files out of place. */
import ts from 'typescript';

import { finding, isCode, isTest, lineOf, parse, walk, type Finding, type Rule } from './source.ts';

const MARKER = /\b(TODO|FIXME|XXX|HACK)\b/;
const PROSE = /\.(md|ya?ml|sh)$|^\.ci\/run$/;

/** Markers in comments of code, and anywhere in prose. */
export const markers: Rule = (file) => {
  if (PROSE.test(file.path))
    return matchLines(file.path, file.text, MARKER, 'leftover marker: do it, or write an issue');
  if (!isCode(file.path)) return [];
  const tree = parse(file);
  return comments(tree)
    .filter(({ pos, end }) => MARKER.test(file.text.slice(pos, end)))
    .map(({ pos }) => ({
      path: file.path,
      line: lineOf(tree, pos),
      message: 'leftover marker: do it, or write an issue',
    }));
};

/** Comments hang before and after tokens; the same one may be found from both sides. */
function comments(tree: ts.SourceFile): readonly ts.CommentRange[] {
  const found = new Map<number, ts.CommentRange>();
  const tokens = [...walk(tree)].filter((node) => node.getChildCount() === 0);
  for (const token of tokens) {
    const leading = ts.getLeadingCommentRanges(tree.text, token.pos) ?? [];
    const trailing = ts.getTrailingCommentRanges(tree.text, token.end) ?? [];
    for (const range of [...leading, ...trailing]) found.set(range.pos, range);
  }
  return [...found.values()];
}

const RUNNER = /^(test|it|describe|suite|t|context)\b/;

/** A silenced test says why: `{ skip: 'reason' }` or `t.skip('reason')`. A focused or promised one never stays. */
export const silencedTests: Rule = (file) => {
  if (!isTest(file.path)) return [];
  return [...walk(parse(file))].flatMap((node) => {
    const message = silencedCall(node) ?? silencedOption(node);
    return message === undefined ? [] : [finding(file, node, message)];
  });
};

function silencedCall(node: ts.Node): string | undefined {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return undefined;
  const { expression: runner, name } = node.expression;
  if (!RUNNER.test(runner.getText())) return undefined;
  if (name.text === 'only' || name.text === 'todo') return `.${name.text}() does not stay: run it all, write the test`;
  if (name.text !== 'skip') return undefined;
  const insideTest = /^(t|context)$/.test(runner.getText());
  if (insideTest && node.arguments.length > 0) return undefined;
  return ".skip() without a reason: use { skip: 'reason' } or t.skip('reason')";
}

function silencedOption(node: ts.Node): string | undefined {
  if (!ts.isPropertyAssignment(node) || !isRunnerOption(node)) return undefined;
  const key = node.name.getText();
  if (key === 'only' || key === 'todo') return `{ ${key} } does not stay: run it all, write the test`;
  if (key !== 'skip' || node.initializer.kind !== ts.SyntaxKind.TrueKeyword) return undefined;
  return "{ skip: true } without a reason: use { skip: 'reason' }";
}

function isRunnerOption(node: ts.PropertyAssignment): boolean {
  const call = node.parent.parent;
  return ts.isCallExpression(call) && RUNNER.test(call.expression.getText());
}

const PLACES: readonly (readonly [RegExp, string])[] = [
  [/(?<![\w.)\]}])\/(work|root|home\/\w+|Users\/\w+)\//, 'a path of one machine: make it relative, or /var/lib/skerry'],
  [/\.\.\/shared\//, 'a path outside the repository: write it down here instead'],
  [/registry\.(npmjs|yarnpkg|npmmirror)\.\w+/, 'a registry host: the machine decides where packages come from'],
  [/"resolved":\s*"https?:/, 'a registry host in the lock file: .npmrc leaves it out'],
];

export const machinePlaces: Rule = ({ path, text }) =>
  PLACES.flatMap(([pattern, message]) => matchLines(path, text, pattern, message));

const TOP_LEVEL = new Set([
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'core',
  'plugins',
  'harness',
  'test',
  'docs',
  'examples',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
]);

export const topLevel: Rule = ({ path }) => {
  const entry = path.split('/')[0] ?? path;
  if (TOP_LEVEL.has(entry) || entry.startsWith('.')) return [];
  return [{ path, line: 1, message: `the top level is fixed: ${entry} belongs in one of ${[...TOP_LEVEL].join(' ')}` }];
};

function matchLines(path: string, text: string, pattern: RegExp, message: string): readonly Finding[] {
  return text.split('\n').flatMap((line, at) => (pattern.test(line) ? [{ path, line: at + 1, message }] : []));
}
