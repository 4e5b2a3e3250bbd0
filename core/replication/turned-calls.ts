/** Calls of turned-protocol.ts. */
export const TURNED_CALLS = ['turn', 'turned'] as const;
