import * as assert from "uvu/assert";
import type { Graph } from "../../src/graph/graph.ts";
import { runReference } from "../../src/run/reference.ts";
import { getNumber, type HostTensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { noise } from "./prune-graphs.ts";

/** A seeded input for each graph input; unknown dimensions become `batch`. */
export function inputsFor(graph: Graph, batch = 2, seed = 3): Record<string, HostTensor> {
  const random = seeded(seed);
  return Object.fromEntries(
    graph.inputs.map((i) => [
      i.name,
      noise(
        i.shape.map((d) => d ?? batch),
        random,
      ),
    ]),
  );
}

/** Both graphs give the same outputs, to 1e-5 of the largest value; that value is not zero. */
export function sameOutputs(a: Graph, b: Graph, inputs = inputsFor(a)): void {
  const [x, y] = [runReference(a, inputs), runReference(b, inputs)];
  for (const { name } of a.outputs) {
    const [p, q] = [x[name]!, y[name]!];
    assert.equal(p.shape, q.shape);
    let largest = 0;
    let difference = 0;
    for (let i = 0; i < p.data.length; i++) {
      largest = Math.max(largest, Math.abs(getNumber(p.data, i)));
      difference = Math.max(difference, Math.abs(getNumber(p.data, i) - getNumber(q.data, i)));
    }
    assert.ok(Number.isFinite(largest + difference), `outputs reach ${largest} and differ by ${difference}`);
    assert.ok(largest > 0, "all outputs are zero");
    assert.ok(difference <= 1e-5 * Math.max(1, largest), `outputs differ by ${difference} of ${largest}`);
  }
}
