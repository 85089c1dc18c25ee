import type { Lowering } from "../lowering.ts";
import { convLowering } from "./conv-generic.ts";
import { matmulLowerings } from "./matmul.ts";
import { movementLowerings } from "./movement.ts";

/** Every op's general lowering. An op is in one of them. */
export const lowerings: readonly Lowering[] = [convLowering, ...matmulLowerings, ...movementLowerings];

const byOp = new Map(lowerings.flatMap((l) => l.ops.map((op) => [op, l] as const)));

export const findLowering = (op: string): Lowering | undefined => byOp.get(op);

/** Does the op's lowering apply an activation that is fused into it? */
export const fusesActivation = (op: string): boolean => byOp.get(op)?.fusesActivation === true;
