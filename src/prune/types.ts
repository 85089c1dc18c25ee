import { InputError, PruneError, printable, SecateurError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { inferTypes } from "../graph/infer.ts";
import { showShape } from "../tensor/shape.ts";
import type { GraphTypes } from "./context.ts";

export type InputShapes = Readonly<Record<string, readonly number[]>>;

/**
 * Static types of every value for one representative input. Unknown batch sizes become 1; which channels a removal touches
 * does not depend on them. Any other unknown dimension has to be given in `inputShapes`. Throws E_INPUT and E_PRUNE.
 */
export function staticTypes(graph: Graph, inputShapes: InputShapes = {}): GraphTypes {
  const given = new Map(Object.entries(inputShapes));
  for (const name of given.keys()) {
    if (graph.inputs.some((i) => i.name === name)) continue;
    const names = graph.inputs.map((i) => printable(i.name)).join(", ");
    throw new InputError(
      `inputShapes names "${printable(name)}", which is no input of the model. Its inputs are ${names}.`,
    );
  }
  const shapes = new Map<string, readonly number[]>();
  for (const input of graph.inputs) {
    const asked = given.get(input.name);
    const shape = asked ?? input.shape.map((d, i) => (d === null && i === 0 ? 1 : d));
    if (shape.some((d) => d === null)) {
      throw new InputError(
        `input "${printable(input.name)}" has shape ${showShape(input.shape)}; channels can only be followed for known sizes. ` +
          "Pass inputShapes with one representative shape for it.",
      );
    }
    shapes.set(input.name, shape as readonly number[]);
  }
  try {
    return inferTypes(graph, shapes);
  } catch (cause) {
    if (!(cause instanceof SecateurError)) throw cause;
    throw new PruneError(
      `the model's shapes cannot be worked out for inputs ${[...shapes].map(([n, s]) => `${printable(n)} ${showShape(s)}`).join(", ")}: ` +
        `${cause.message} Pass inputShapes with a representative shape.`,
      cause.where,
    );
  }
}
