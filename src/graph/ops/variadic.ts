import { broadcastShapes } from "../../tensor/shape.ts";
import { elementwiseFlow } from "../channels.ts";
import type { OpDefinition } from "../op.ts";
import { mapMany } from "./support/elementwise.ts";
import { operandsOf, typed } from "./support/operands.ts";

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Functions of one or more elements with NumPy broadcasting. */
const table: Readonly<Record<string, (values: readonly number[]) => number>> = {
  Max: (values) => Math.max(...values),
  Mean: (values) => sum(values) / values.length,
  Min: (values) => Math.min(...values),
  Sum: sum,
};

/** One op per line of the table. */
export const variadicOps: readonly OpDefinition[] = Object.entries(table).map(([name, f]) => ({
  name,
  inputs: [1, 1024],
  outputs: [1, 1],
  attributes: {},
  infer(c) {
    const types = operandsOf(c, "number");
    return [typed(c, types[0]!.dtype, broadcastShapes(...types.map((t) => t.shape)))];
  },
  reference: (_c, inputs, [type]) => [
    mapMany(
      inputs.map((t) => t!),
      type!,
      f,
    ),
  ],
  channels: elementwiseFlow,
}));
