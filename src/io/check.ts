import { GraphError, printable } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { inferTypes, requiredValues } from "../graph/infer.ts";
import type { Shape } from "../tensor/shape.ts";
import { sizeOf } from "../tensor/shape.ts";

/** Elements of one value that no model meant for a GPU needs: 4 GiB of f32. */
const largestValue = 2 ** 30;

/**
 * Works out all shapes of a graph whose input shapes are known, so that attributes, operands and sizes that cannot work
 * are refused when the model is loaded and not when it first runs. Graphs with open dimensions are checked when compiled.
 * Throws E_ATTRIBUTE, E_SHAPE, E_GRAPH, E_INDEX from the ops, E_LIMIT for a value of absurd size.
 */
export function checkShapes(graph: Graph): void {
  const shapes = new Map<string, Shape>();
  for (const { name, shape } of graph.inputs) {
    if (shape.some((d) => d === null)) return;
    shapes.set(name, shape as Shape);
  }
  if (requiredValues(graph).length > 0) return;
  for (const [name, type] of inferTypes(graph, shapes).types) {
    if (sizeOf(type.shape) > largestValue) {
      throw new GraphError(
        "E_LIMIT",
        `value "${printable(name)}" has ${sizeOf(type.shape)} elements; at most ${largestValue} are supported.`,
      );
    }
  }
}
