import { reshaped } from "../../tensor/host-tensor.ts";
import { checkedMul } from "../../tensor/shape.ts";
import { attributesOf, type OpDefinition } from "../op.ts";
import { frozen, reshapedFlow } from "./support/flow.ts";
import { operand, typed } from "./support/operands.ts";
import { reshapingGradient } from "./support/reshaping.ts";

/** All dimensions before `axis` become rows, all from it on become columns. */
export const flatten: OpDefinition = {
  name: "Flatten",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: { axis: "int" },
  infer(c) {
    const x = operand(c, 0);
    const a = attributesOf(c.node);
    const given = a.int("axis", 1);
    const rank = x.shape.length;
    if (given < -rank || given > rank) a.fail(`axis ${given} is outside a tensor of rank ${rank}.`);
    const axis = given < 0 ? given + rank : given;
    const size = (dims: readonly number[]): number => dims.reduce(checkedMul, 1);
    return [typed(c, x.dtype, [size(x.shape.slice(0, axis)), size(x.shape.slice(axis))])];
  },
  reference: (_c, [x], [type]) => [reshaped(x!, type!.shape)],
  channels(c) {
    const flow = c.in(0);
    const out = flow && reshapedFlow(flow, c.shape(0), c.outputs[0]!.shape);
    return out ? [out] : frozen(c);
  },
  gradient: reshapingGradient,
};
