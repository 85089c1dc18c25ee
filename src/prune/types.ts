import { InputError, PruneError, printable, SecateurError } from "../errors.ts";
import type { Graph, GraphValue } from "../graph/graph.ts";
import { inferTypes } from "../graph/infer.ts";
import { type Shape, showShape } from "../tensor/shape.ts";
import type { GraphTypes } from "./context.ts";

export type InputShapes = Readonly<Record<string, readonly number[]>>;

/** Sizes tried, in this order, for unknown dimensions other than the first (image height and width, sequence length). */
const usualSizes = [224, 64, 32, 28, 128, 256, 299, 512, 16, 8, 1];

/**
 * Static types of every value for one representative input: which channels belong together does not depend on its size.
 * Unknown batch sizes become 1, other unknown dimensions the first usual size that fits the model, unless `inputShapes` says.
 * Throws E_INPUT for shapes that fit no input, E_PRUNE where the shapes cannot be worked out.
 */
export function staticTypes(graph: Graph, inputShapes: InputShapes = {}): GraphTypes {
  const given = new Map(Object.entries(inputShapes));
  checkGiven(graph, given);
  const open = graph.inputs.some(
    (i) => !given.has(i.name) && i.shape.some((d, axis) => d === null && axis > 0),
  );
  let fault: SecateurError | undefined;
  for (const size of open ? usualSizes : [1]) {
    const shapes = new Map(graph.inputs.map((i) => [i.name, given.get(i.name) ?? filled(i, size)]));
    try {
      return inferTypes(graph, shapes);
    } catch (cause) {
      if (!(cause instanceof SecateurError)) throw cause;
      fault ??= cause;
    }
  }
  const shown = graph.inputs
    .map((i) => `${printable(i.name)} ${showShape(given.get(i.name) ?? i.shape)}`)
    .join(", ");
  throw new PruneError(
    `the model's shapes cannot be worked out for inputs ${shown}: ${fault!.message} Pass inputShapes with a representative shape.`,
    fault!.where,
  );
}

const filled = (input: GraphValue, size: number): Shape =>
  input.shape.map((d, axis) => d ?? (axis === 0 ? 1 : size));

function checkGiven(graph: Graph, given: ReadonlyMap<string, readonly number[]>): void {
  for (const [name, shape] of given) {
    const input = graph.inputs.find((i) => i.name === name);
    if (!input) {
      const names = graph.inputs.map((i) => printable(i.name)).join(", ");
      throw new InputError(
        `inputShapes names "${printable(name)}", which is no input of the model. Its inputs are ${names}.`,
      );
    }
    const fits =
      Array.isArray(shape) &&
      shape.length === input.shape.length &&
      shape.every(
        (d, i) => Number.isSafeInteger(d) && d >= 0 && (input.shape[i] === null || input.shape[i] === d),
      );
    if (!fits) {
      throw new InputError(
        `inputShapes gives "${printable(name)}" the shape [${String(shape)}]; the model needs ${showShape(input.shape)}.`,
      );
    }
  }
}
