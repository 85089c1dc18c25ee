import { InputError, printable } from "../errors.ts";
import type { GraphValue } from "../graph/graph.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { type Shape, showShape, sizeOf } from "../tensor/shape.ts";

/** E_INPUT unless `given` is a tensor that the graph input takes. */
export function checkTensor(input: GraphValue, given: HostTensor): void {
  const name = printable(input.name);
  if (!given || !Array.isArray(given.shape) || given.data === undefined) {
    throw new InputError(`input "${name}" is not a tensor. Make one with tensor(data, shape).`);
  }
  if (given.dtype !== input.dtype) {
    throw new InputError(`input "${name}" is ${given.dtype}, but the graph declares ${input.dtype}.`);
  }
  checkDeclared(input, given.shape);
  if (given.data.length !== sizeOf(given.shape)) {
    throw new InputError(
      `input "${name}" has ${given.data.length} elements, but shape ${showShape(given.shape)} needs ${sizeOf(given.shape)}.`,
    );
  }
}

/** E_INPUT unless `shape` is one that the graph declares for the input. */
export function checkDeclared(input: GraphValue, shape: Shape): void {
  const fits =
    shape.length === input.shape.length &&
    shape.every((d, i) => input.shape[i] === null || input.shape[i] === d);
  if (!fits || shape.some((d) => !Number.isSafeInteger(d) || d < 0)) {
    throw new InputError(
      `input "${printable(input.name)}" has shape ${showShape(shape)}, but the graph declares ${showShape(input.shape)}.`,
    );
  }
}
