import { showShape, sizeOf } from "../../tensor/shape.ts";
import { attributesOf, type OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor } from "./support/floats.ts";
import { operandOf, refuse, typed } from "./support/operands.ts";
import { mixingFlow } from "./support/param-flow.ts";

/**
 * Local response normalisation: x / (bias + alpha / size · Σ squares of the neighbouring channels)^beta
 * (Krizhevsky et al. 2012, section 3.3), over channels c - floor((size-1)/2) to c + ceil((size-1)/2).
 */
export const lrn: OpDefinition = {
  name: "LRN",
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: { alpha: "float", beta: "float", bias: "float", size: "int" },
  infer(c) {
    const { dtype, shape } = operandOf(c, 0, "float");
    const a = attributesOf(c.node);
    if (shape.length < 2)
      refuse(c, "E_SHAPE", `the input has shape ${showShape(shape)}; [N, C, ...] is needed.`);
    if (a.int("size") < 1) a.fail(`attribute size is ${a.int("size")}; a number from 1 is needed.`);
    return [typed(c, dtype, shape)];
  },
  reference(c, [x], outputs) {
    const a = attributesOf(c.node);
    const [alpha, beta, bias, size] = [
      a.float("alpha", 1e-4),
      a.float("beta", 0.75),
      a.float("bias", 1),
      a.int("size"),
    ];
    const { shape } = outputs[0]!;
    const channels = shape[1]!;
    const plane = sizeOf(shape.slice(2));
    const data = doubles(x!);
    const y = new Float64Array(data.length);
    const before = Math.floor((size - 1) / 2);
    const after = Math.ceil((size - 1) / 2);
    for (let n = 0; n < shape[0]!; n++) {
      for (let k = 0; k < channels; k++) {
        for (let p = 0; p < plane; p++) {
          let sum = 0;
          for (let j = Math.max(0, k - before); j <= Math.min(channels - 1, k + after); j++) {
            sum += data[(n * channels + j) * plane + p]! ** 2;
          }
          const at = (n * channels + k) * plane + p;
          y[at] = data[at]! / (bias + (alpha / size) * sum) ** beta;
        }
      }
    }
    return [doubleTensor(shape, y)];
  },
  channels: mixingFlow(() => [1]),
};
