/** Size limits: the ratchet that keeps a file a page and a function a thought. */
import ts from 'typescript';

import { finding, isCode, lineOf, parse, walk, type Finding, type Rule, type SourceFile } from './source.ts';

export const MAX_FILE_LINES = 400;
export const MAX_FUNCTION_LINES = 70;

export const fileLength: Rule = ({ path, text }) => {
  if (!isCode(path)) return [];
  const lines = text.replace(/\n$/, '').split('\n').length;
  if (lines <= MAX_FILE_LINES) return [];
  return [{ path, line: 1, message: `${lines} lines, at most ${MAX_FILE_LINES}: split it by noun` }];
};

export const functionLength: Rule = (file) => {
  if (!isCode(file.path)) return [];
  return [...walk(parse(file))].filter(isFunction).flatMap((node) => tooLong(file, node));
};

type FunctionNode =
  | ts.FunctionDeclaration
  | ts.FunctionExpression
  | ts.ArrowFunction
  | ts.MethodDeclaration
  | ts.ConstructorDeclaration
  | ts.AccessorDeclaration;

function isFunction(node: ts.Node): node is FunctionNode {
  return (
    ts.isFunctionDeclaration(node) ||
    ts.isFunctionExpression(node) ||
    ts.isArrowFunction(node) ||
    ts.isMethodDeclaration(node) ||
    ts.isConstructorDeclaration(node) ||
    ts.isAccessor(node)
  );
}

function tooLong(file: SourceFile, node: FunctionNode): readonly Finding[] {
  const lines = lineOf(node, node.getEnd()) - lineOf(node) + 1;
  if (lines <= MAX_FUNCTION_LINES || isSuiteBody(node)) return [];
  const name = node.name?.getText() ?? 'a function';
  return [finding(file, node, `${name} has ${lines} lines, at most ${MAX_FUNCTION_LINES}: push ifs up and loops down`)];
}

/** The body of describe() is a chapter of tests, each measured on its own. */
function isSuiteBody(node: FunctionNode): boolean {
  const call = node.parent;
  return ts.isCallExpression(call) && /^(describe|suite)\b/.test(call.expression.getText());
}
