/** All planted bugs. */
import { bytesMutations } from './bytes.ts';
import { engineMutations } from './engine.ts';
import { keepingMutations } from './keeping.ts';
import { mergeMutations } from './merge.ts';
import { replicationMutations } from './replication.ts';
import { spaceMutations } from './space.ts';
import type { Mutation } from './mutation.ts';

export type { Mutation } from './mutation.ts';
export const mutations: readonly Mutation[] = [
  ...engineMutations,
  ...mergeMutations,
  ...replicationMutations,
  ...keepingMutations,
  ...spaceMutations,
  ...bytesMutations,
];
