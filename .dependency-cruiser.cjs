// Which way imports may point. The reasons are in docs/architecture.md; test/imports.test.ts plants one breach of every rule.

/** One forbidden direction. `from` and `to` are path patterns (or full conditions). */
const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

const NPM = 'node_modules';

/** An npm package that only the named files may import: it stays replaceable, and the rest cannot grow to depend on it. */
const onlyIn = (name, pattern, files) =>
  rule(
    `${name}-in-one-place`,
    `${name} is imported in ${files} only`,
    { path: '^(core|plugins|harness)/', pathNot: files },
    { path: `${NPM}/${pattern}` },
  );

module.exports = {
  forbidden: [
    rule('no-circular', 'a cycle has no bottom to start reading from', {}, { circular: true }),
    rule('no-unresolved', 'an import that leads nowhere', {}, { couldNotResolve: true }),
    rule(
      'contracts-import-nothing',
      'core/contracts is the third-party surface: it imports nothing, not even types of another room or of Node',
      { path: '^core/contracts/' },
      { pathNot: '^core/contracts/' },
    ),
    rule(
      'core-knows-no-plugin',
      'the core names ports, never what stands behind them; kernel/shipped-plugins.ts alone knows the shipped plugins by path',
      { path: '^core/', pathNot: '^core/kernel/shipped-plugins\\.ts$' },
      { path: '^(plugins|harness|test)/' },
    ),
    rule(
      'engine-sees-contracts',
      'the engine decides over ports: of the core it sees the contracts only',
      { path: '^core/engine/' },
      { path: '^core/', pathNot: '^core/(engine|contracts)/' },
    ),
    rule(
      'replication-sees-engine',
      'replication drives the engine: of the core it sees contracts and engine',
      { path: '^core/replication/' },
      { path: '^core/', pathNot: '^core/(replication|engine|contracts)/' },
    ),
    rule(
      'nobody-imports-the-cli',
      'the command is a thin shell around the core, never something the core leans on',
      { path: '^(core|plugins|harness)/', pathNot: '^core/cli(/|\\.ts$)' },
      { path: '^core/cli(/|\\.ts$)' },
    ),
    rule(
      'plugins-see-contracts',
      'a plugin sees core/contracts, as a third party would',
      { path: '^plugins/' },
      { path: '^(core|harness|test)/', pathNot: '^core/contracts/' },
    ),
    rule(
      'plugins-stand-alone',
      'a plugin never imports another plugin',
      { path: '^plugins/([^/]+)/' },
      { path: '^plugins/', pathNot: '^plugins/$1/' },
    ),
    rule(
      'nothing-imports-test',
      'what is published cannot lean on what is not',
      { path: '^(core|plugins|harness)/' },
      { path: '^test/' },
    ),
    rule(
      'published-code-has-runtime-dependencies',
      'core, plugins and harness are published: what they import must be in dependencies',
      { path: '^(core|plugins|harness)/' },
      { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    ),
    onlyIn('awilix', 'awilix/', '^core/kernel/container\\.ts$'),
    onlyIn('tapable', 'tapable/', '^core/kernel/hooks\\.ts$'),
    onlyIn('yargs', 'yargs/', '^core/cli(/|\\.ts$)'),
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: NPM },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'node', 'default'] },
  },
};
