import { printable, UnsupportedError } from "../../errors.ts";
import { getNumber } from "../../tensor/host-tensor.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { OpDefinition } from "../op.ts";
import { frozen } from "./support/flow.ts";
import { operandOf, typed } from "./support/operands.ts";

/** At inference the input itself, with a mask of ones where one is asked for. A node in training mode is refused. */
export const dropout: OpDefinition = {
  name: "Dropout",
  inputs: [1, 3],
  outputs: [1, 2],
  attributes: { seed: "int" },
  hostInputs: [2],
  infer(c) {
    const { dtype, shape } = operandOf(c, 0, "float");
    const training = c.inputs[2] ? c.value(2) : undefined;
    if (c.inputs[2] && (!training || getNumber(training.data, 0) !== 0)) {
      throw new UnsupportedError(
        `Dropout "${printable(c.node.name)}" is in training mode, or may be. Export the model for inference.`,
        { op: "Dropout", node: printable(c.node.name) },
      );
    }
    return c.node.outputs.map((_, i) => typed(c, i === 0 ? dtype : "bool", shape, i));
  },
  reference(_, inputs, outputs) {
    const ones = outputs[1] && {
      dtype: "bool" as const,
      shape: outputs[1].shape,
      data: new Uint8Array(sizeOf(outputs[1].shape)).fill(1),
    };
    return ones ? [inputs[0]!, ones] : [inputs[0]!];
  },
  channels: (c) => (c.node.outputs[1] ? frozen(c) : c.outputs.map(() => c.in(0))),
  gradient: (g) => [g.dy],
};
