import type { OpDefinition } from "../op.ts";

/** Every op the engine knows, one file each. */
export const ops: readonly OpDefinition[] = [];

const byName = new Map(ops.map((op) => [op.name, op]));

export const findOp = (name: string): OpDefinition | undefined => byName.get(name);
