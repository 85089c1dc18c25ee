import { attributesOf, type OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor } from "./support/floats.ts";
import { spatialFlow } from "./support/param-flow.ts";
import { foldWindows, pooledType } from "./support/pooling.ts";
import { tapsWithPadding, threeAxes } from "./support/taps.ts";
import { poolGeometry } from "./support/window.ts";

/**
 * Mean under a window. The divisor counts the taps on data, or with `count_include_pad` those on data and declared padding;
 * what ceil mode reaches beyond the padding never counts. A window with nothing to count gives 0.
 */
export const averagePool: OpDefinition = {
  name: "AveragePool",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: {
    auto_pad: "string",
    ceil_mode: "int",
    count_include_pad: "int",
    dilations: "ints",
    kernel_shape: "ints",
    pads: "ints",
    strides: "ints",
  },
  infer: (c) => [pooledType(c)],
  reference(c, inputs, outputs) {
    const g = poolGeometry(c);
    const [d, h, r] = threeAxes(g);
    const includePad = attributesOf(c.node).int("count_include_pad", 0) !== 0;
    const y = foldWindows(
      g,
      doubles(inputs[0]!),
      0,
      (sum, value) => sum + value,
      (sum, o, { first, last }) => {
        const count = includePad
          ? tapsWithPadding(d, o[0]) * tapsWithPadding(h, o[1]) * tapsWithPadding(r, o[2])
          : (last[0] - first[0]) * (last[1] - first[1]) * (last[2] - first[2]);
        return count === 0 ? 0 : sum / count;
      },
    );
    return [doubleTensor(outputs[0]!.shape, y)];
  },
  gradient: (g) => [
    g.emit("AveragePoolGrad", [g.dy], {
      ...Object.fromEntries(g.node.attributes),
      shape: g.inputs[0]!.shape,
    }),
  ],
  channels: spatialFlow,
};
