/** The third-party surface: everything a plugin may import. */
export * from './admin-service.ts';
export * from './auth.ts';
export * from './aws-chunked.ts';
export * from './bucket-name.ts';
export * from './chunk-store.ts';
export * from './conflict-resolver.ts';
export type * from './conflict-service.ts';
export * from './errors.ts';
export * from './gateway.ts';
export * from './hooks.ts';
export * from './lifecycle.ts';
export * from './meta-arguments.ts';
export * from './meta-store.ts';
export * from './model.ts';
export * from './object-service.ts';
export * from './plugin.ts';
export * from './runtime.ts';
export * from './transport.ts';
