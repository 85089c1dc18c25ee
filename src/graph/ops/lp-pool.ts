import { attributesOf, type OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor } from "./support/floats.ts";
import { spatialFlow } from "./support/param-flow.ts";
import { foldWindows, pooledType } from "./support/pooling.ts";
import { poolGeometry } from "./support/window.ts";

/** p-norm under a window: (Σ |x|^p)^(1/p); padding counts as zeros. */
export const lpPool: OpDefinition = {
  name: "LpPool",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: {
    auto_pad: "string",
    ceil_mode: "int",
    dilations: "ints",
    kernel_shape: "ints",
    p: "int",
    pads: "ints",
    strides: "ints",
  },
  infer(c) {
    const a = attributesOf(c.node);
    if (a.int("p", 2) < 1) a.fail(`attribute p is ${a.int("p", 2)}; a number from 1 is needed.`);
    return [pooledType(c)];
  },
  reference(c, inputs, outputs) {
    const p = attributesOf(c.node).int("p", 2);
    const y = foldWindows(
      poolGeometry(c),
      doubles(inputs[0]!),
      0,
      (sum, value) => sum + Math.abs(value) ** p,
      (sum) => sum ** (1 / p),
    );
    return [doubleTensor(outputs[0]!.shape, y)];
  },
  channels: spatialFlow,
};
