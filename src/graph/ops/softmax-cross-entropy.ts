import { sameShape, showShape } from "../../tensor/shape.ts";
import type { OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor, floatOperands } from "./support/floats.ts";
import { frozen } from "./support/flow.ts";
import { refuse, typed } from "./support/operands.ts";

/**
 * Cross-entropy of softmax(logits) against target distributions, logits and targets [N, classes]: loss [N] with the natural
 * logarithm, and its gradient with respect to the logits [N, classes], softmax · (sum of the targets) - targets, in one pass.
 */
export const softmaxCrossEntropy: OpDefinition = {
  name: "SoftmaxCrossEntropy",
  internal: true,
  inputs: [2, 2],
  outputs: [2, 2],
  attributes: {},
  infer(c) {
    const { dtype, shape } = floatOperands(c, 2);
    const targets = c.inputs[1]!.shape;
    if (shape.length !== 2 || !sameShape(shape, targets)) {
      refuse(
        c,
        "E_SHAPE",
        `logits ${showShape(shape)} and targets ${showShape(targets)} must both be [N, classes].`,
      );
    }
    return [typed(c, dtype, [shape[0]!], 0), typed(c, dtype, shape, 1)];
  },
  reference(_, inputs, outputs) {
    const [rows, classes] = outputs[1]!.shape as [number, number];
    const [logits, targets] = inputs.map((t) => doubles(t!)) as [Float64Array, Float64Array];
    const loss = new Float64Array(rows);
    const gradient = new Float64Array(rows * classes);
    for (let n = 0; n < rows; n++) {
      const x = logits.subarray(n * classes, (n + 1) * classes);
      const t = targets.subarray(n * classes, (n + 1) * classes);
      const top = x.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
      const total = x.reduce((sum, v) => sum + Math.exp(v - top), 0);
      const weight = t.reduce((sum, v) => sum + v, 0);
      for (let k = 0; k < classes; k++) {
        loss[n]! += t[k]! * (top + Math.log(total) - x[k]!);
        gradient[n * classes + k] = (weight * Math.exp(x[k]! - top)) / total - t[k]!;
      }
    }
    return [doubleTensor([rows], loss), doubleTensor([rows, classes], gradient)];
  },
  gradient(g) {
    if (g.incoming(1) !== undefined) return g.refuse("its second output is a gradient already");
    if (g.incoming(0) === undefined) return [];
    const column = g.emit("Reshape", [g.dy, g.constant([g.inputs[0]!.shape[0]!, 1])]);
    const dtargets = () =>
      g.emit("Neg", [g.emit("Mul", [g.emit("LogSoftmax", [g.in(0)], { axis: 1 }), column])]);
    return [g.wants(0) ? g.emit("Mul", [g.out(1), column]) : undefined, g.wants(1) ? dtargets() : undefined];
  },
  channels: frozen,
};
