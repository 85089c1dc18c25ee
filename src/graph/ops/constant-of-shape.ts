import { getNumber, type HostTensor, scalar } from "../../tensor/host-tensor.ts";
import { showShape } from "../../tensor/shape.ts";
import { noGradient } from "../gradient-rule.ts";
import { attributesOf, type OpContext, type OpDefinition } from "../op.ts";
import { hostInts, refuse, resultArray, resultTensor, store, typed } from "./support/operands.ts";

function fillValue(c: OpContext): HostTensor {
  const a = attributesOf(c.node);
  const value = a.tensor("value") ?? scalar(0);
  if (value.data.length !== 1) a.fail(`value has ${value.data.length} elements; one is needed.`);
  return value;
}

/** A tensor of the given shape filled with one value. */
export const constantOfShape: OpDefinition = {
  name: "ConstantOfShape",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: { value: "tensor" },
  hostInputs: [0],
  infer(c) {
    const shape = hostInts(c, 0, "shape");
    if (shape.some((d) => d < 0)) refuse(c, "E_SHAPE", `shape ${showShape(shape)} has a negative dimension.`);
    return [typed(c, fillValue(c).dtype, shape)];
  },
  reference(c, _inputs, [type]) {
    const out = resultArray(type!);
    const value = getNumber(fillValue(c).data, 0);
    for (let i = 0; i < out.length; i++) store(type!.dtype, out, i, value);
    return [resultTensor(type!, out)];
  },
  gradient: noGradient,
};
