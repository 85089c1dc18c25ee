import { allocate, isFloat } from "../../tensor/dtype.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";
import { attributesOf, type OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { frozen } from "./support/flow.ts";
import { operandOf, resultArray, resultTensor, store, typed } from "./support/operands.ts";
import { spatialFlow } from "./support/param-flow.ts";
import { forEachWindow } from "./support/pooling.ts";
import { threeAxes } from "./support/taps.ts";
import { poolGeometry } from "./support/window.ts";

/** What a window gives that lies wholly in the padding: the least finite f32, as ONNX Runtime does. */
export const leastFloat = -3.4028234663852886e38;

/**
 * Maximum under a window; padding never wins. The optional second output holds, as i64, the index of each maximum in the
 * flattened input; `storage_order` 1 numbers the spatial axes column-major.
 */
export const maxPool: OpDefinition = {
  name: "MaxPool",
  inputs: [1, 1],
  outputs: [1, 2],
  attributes: {
    auto_pad: "string",
    ceil_mode: "int",
    dilations: "ints",
    kernel_shape: "ints",
    pads: "ints",
    storage_order: "int",
    strides: "ints",
  },
  infer(c) {
    const { dtype } = operandOf(c, 0, "number");
    const g = poolGeometry(c);
    const a = attributesOf(c.node);
    const order = a.int("storage_order", 0);
    if (order !== 0 && order !== 1) a.fail(`attribute storage_order is ${order}; 0 or 1 is needed.`);
    const shape = [g.batch, g.channels, ...g.outSpatial];
    return c.node.outputs.map((_, i) => typed(c, i === 0 ? dtype : "i64", shape, i));
  },
  reference(c, inputs, outputs) {
    const g = poolGeometry(c);
    const [d, h, r] = threeAxes(g);
    const x = doubles(inputs[0]!);
    const type = outputs[0]!;
    const y = resultArray(type);
    const indices = outputs[1] && (allocate("i64", y.length) as BigInt64Array);
    const columnMajor = attributesOf(c.node).int("storage_order", 0) === 1;
    const least = isFloat(type.dtype) ? leastFloat : Number.NEGATIVE_INFINITY;
    forEachWindow(g, (at, from, o, taps) => {
      let best = least;
      let where = 0;
      for (let kd = taps.first[0]; kd < taps.last[0]; kd++) {
        const z = o[0] * d.stride - d.begin + kd * d.dilation;
        for (let kh = taps.first[1]; kh < taps.last[1]; kh++) {
          const v = o[1] * h.stride - h.begin + kh * h.dilation;
          const row = from + (z * h.size + v) * r.size;
          for (let kr = taps.first[2]; kr < taps.last[2]; kr++) {
            const u = o[2] * r.stride - r.begin + kr * r.dilation;
            const value = x[row + u]!;
            if (value > best) {
              best = value;
              where = columnMajor ? from + z + (v + u * h.size) * d.size : row + u;
            }
          }
        }
      }
      store(type.dtype, y, at, best);
      if (indices) indices[at] = BigInt(where);
    });
    const results: HostTensor[] = [resultTensor(type, y)];
    if (indices) results.push({ dtype: "i64", shape: type.shape, data: indices });
    return results;
  },
  gradient: (g) => [g.emit("MaxPoolGrad", [g.in(0), g.out(0), g.dy], Object.fromEntries(g.node.attributes))],
  channels: (c) => (c.node.outputs[1] ? frozen(c) : spatialFlow(c)),
};
