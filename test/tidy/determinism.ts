/**
 * The determinism lint. Core and plugins meet time, chance and the machine only through the ports of
 * core/contracts/runtime.ts, so that the simulator can run the very same code from a seed.
 */
import ts from 'typescript';

import { finding, parse, walk, type Finding, type Rule, type SourceFile } from './source.ts';

/** The only files that may touch the machine: they implement the ports, or hold a socket or a database handle. */
const ADAPTERS: readonly RegExp[] = [
  /^core\/kernel\/runtime\//,
  /^core\/cli\.ts$/,
  /^core\/cli\//,
  /^plugins\/[^/]+\/([^/]+\/)*[\w-]+-adapter\.ts$/,
];

const CLOCK = 'use the Clock port: clock.wallMs() or clock.monotonicMs()';
const TIMERS = 'use the Timers port: timers.after(), timers.sleep() or timers.soon()';
const RANDOM = 'use the Random port: random.bytes(), random.unit() or random.hex()';
const FILES = 'use the FileSystem port';
const SOCKETS = 'keep sockets in a *-adapter.ts file of a plugin';
const MACHINE = 'take it as an argument from core/cli or core/kernel/runtime';
const LOCALE = 'order and print by code units or bytes: the locale differs between machines';

/** Names read as `object.member`; `*` is any member. */
const MEMBERS: Readonly<Record<string, string>> = {
  'Date.now': CLOCK,
  'performance.*': CLOCK,
  'process.hrtime': CLOCK,
  'process.uptime': CLOCK,
  'process.env': MACHINE,
  'process.exit': 'throw, or return: only core/cli ends the process',
  'AbortSignal.timeout': TIMERS,
  'Math.random': RANDOM,
  'crypto.getRandomValues': RANDOM,
  'crypto.randomUUID': RANDOM,
  'crypto.randomBytes': RANDOM,
  'crypto.randomInt': RANDOM,
  'crypto.randomFill': RANDOM,
  'crypto.randomFillSync': RANDOM,
  'webcrypto.getRandomValues': RANDOM,
  'webcrypto.randomUUID': RANDOM,
};

/** Members banned on every object. */
const METHODS: Readonly<Record<string, string>> = {
  localeCompare: LOCALE,
  toLocaleString: LOCALE,
  toLocaleLowerCase: LOCALE,
  toLocaleUpperCase: LOCALE,
};

/** Globals, called or passed on. */
const GLOBALS: Readonly<Record<string, string>> = {
  setTimeout: TIMERS,
  setInterval: TIMERS,
  setImmediate: TIMERS,
  fetch: SOCKETS,
  WebSocket: SOCKETS,
};

/** Built-in modules, with and without `node:`; a type-only import is no contact with the machine. */
const MODULES: Readonly<Record<string, string>> = {
  fs: FILES,
  'fs/promises': FILES,
  net: SOCKETS,
  http: SOCKETS,
  https: SOCKETS,
  http2: SOCKETS,
  tls: SOCKETS,
  dns: SOCKETS,
  'dns/promises': SOCKETS,
  dgram: SOCKETS,
  worker_threads: MACHINE,
  child_process: MACHINE,
  cluster: MACHINE,
  os: MACHINE,
  perf_hooks: CLOCK,
  timers: TIMERS,
  'timers/promises': TIMERS,
  sqlite: 'keep the database handle in a *-adapter.ts file of a plugin',
};

/** Names that may not be imported from node:crypto. */
const CHANCE = /^(random|getRandomValues|generateKey|generatePrime)/;

/** Chance is banned in the harness too: a run must come back from its seed. */
export const determinism: Rule = (file) => {
  if (!/^(core|plugins|harness)\/.*\.ts$/.test(file.path) || file.path.endsWith('.test.ts')) return [];
  if (ADAPTERS.some((adapter) => adapter.test(file.path))) return [];
  const found = [...walk(parse(file))].flatMap((node) => contacts(file, node));
  return file.path.startsWith('harness/') ? found.filter(({ message }) => message.endsWith(RANDOM)) : found;
};

function contacts(file: SourceFile, node: ts.Node): readonly Finding[] {
  const banned = bannedImport(node) ?? bannedMember(node) ?? bannedGlobal(node) ?? bannedDate(node);
  return banned === undefined ? [] : [finding(file, node, `${banned.what}: ${banned.instead}`)];
}

interface Banned {
  readonly what: string;
  readonly instead: string;
}

function ban(what: string, instead: string | undefined): Banned | undefined {
  return instead === undefined ? undefined : { what, instead };
}

function bannedImport(node: ts.Node): Banned | undefined {
  const name = importedModule(node);
  if (name === undefined) return undefined;
  const bare = name.replace(/^node:/, '');
  if (bare === 'crypto' && ts.isImportDeclaration(node)) return bannedCrypto(node);
  return ban(`import of ${name}`, Object.hasOwn(MODULES, bare) ? MODULES[bare] : undefined);
}

/** The module that is loaded at run time by an import, a re-export, or import('...'). */
function importedModule(node: ts.Node): string | undefined {
  if (ts.isImportDeclaration(node) && !isTypeOnly(node.importClause)) return literal(node.moduleSpecifier);
  if (ts.isExportDeclaration(node) && !node.isTypeOnly) return literal(node.moduleSpecifier);
  if (!ts.isCallExpression(node)) return undefined;
  const loads = node.expression.kind === ts.SyntaxKind.ImportKeyword || node.expression.getText() === 'require';
  return loads ? literal(node.arguments[0]) : undefined;
}

function isTypeOnly(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const bindings = clause.namedBindings;
  if (clause.name !== undefined || bindings === undefined || !ts.isNamedImports(bindings)) return false;
  return bindings.elements.length > 0 && bindings.elements.every((element) => element.isTypeOnly);
}

function literal(node: ts.Node | undefined): string | undefined {
  return node !== undefined && ts.isStringLiteralLike(node) ? node.text : undefined;
}

function bannedCrypto(node: ts.ImportDeclaration): Banned | undefined {
  const bindings = node.importClause?.namedBindings;
  if (bindings === undefined || !ts.isNamedImports(bindings)) {
    return ban('import of all of node:crypto (import the names you use)', RANDOM);
  }
  const name = bindings.elements
    .map((element) => (element.propertyName ?? element.name).text)
    .find((it) => CHANCE.test(it));
  return name === undefined ? undefined : ban(`import of ${name}`, RANDOM);
}

/** `object.member`, or `const { member } = object`. */
function bannedMember(node: ts.Node): Banned | undefined {
  const access = memberAccess(node);
  if (access === undefined) return undefined;
  const object = access.object.getText().replace(/^globalThis\./, '');
  const member = access.member.getText();
  const name = `${object}.${member}`;
  if (Object.hasOwn(MEMBERS, name)) return ban(name, MEMBERS[name]);
  if (object === 'globalThis' && Object.hasOwn(GLOBALS, member)) return ban(name, GLOBALS[member]);
  if (Object.hasOwn(METHODS, member)) return ban(name, METHODS[member]);
  return ban(name, MEMBERS[`${object}.*`]);
}

function memberAccess(node: ts.Node): { readonly object: ts.Node; readonly member: ts.Node } | undefined {
  if (ts.isPropertyAccessExpression(node)) return { object: node.expression, member: node.name };
  if (!ts.isBindingElement(node) || !ts.isObjectBindingPattern(node.parent)) return undefined;
  const declaration = node.parent.parent;
  if (!ts.isVariableDeclaration(declaration) || declaration.initializer === undefined) return undefined;
  return { object: declaration.initializer, member: node.propertyName ?? node.name };
}

function bannedGlobal(node: ts.Node): Banned | undefined {
  if (!ts.isIdentifier(node) || !Object.hasOwn(GLOBALS, node.text) || !isReference(node)) return undefined;
  return ban(node.text, GLOBALS[node.text]);
}

/** A name that stands for the value, not for a member, a declared name, a key or a type. */
function isReference(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) || ts.isQualifiedName(parent)) return parent.getChildAt(0) === node;
  if (ts.isPropertyAssignment(parent)) return parent.initializer === node;
  const named = ts.isPropertySignature(parent) || ts.isMethodSignature(parent) || ts.isMethodDeclaration(parent);
  return !named && !ts.isTypeReferenceNode(parent) && !ts.isPropertyDeclaration(parent) && !ts.isTypeQueryNode(parent);
}

function bannedDate(node: ts.Node): Banned | undefined {
  const bare = ts.isNewExpression(node) ? (node.arguments?.length ?? 0) === 0 : ts.isCallExpression(node);
  if (!bare || (node as ts.NewExpression | ts.CallExpression).expression.getText() !== 'Date') return undefined;
  return ban(ts.isNewExpression(node) ? 'new Date()' : 'Date()', CLOCK);
}
