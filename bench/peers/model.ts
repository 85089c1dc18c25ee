import { inspectGraph } from "../../src/graph/statistics.ts";
import { writeOnnx } from "../../src/io/onnx/write.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { runReference } from "../../src/run/reference.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import type { ModelCase, Operands } from "./cases.ts";
import type { Expected } from "./reference.ts";

/** A case with all that it takes to run and to judge it. */
export interface ModelWork {
  readonly case: ModelCase;
  readonly operands: Operands;
  readonly expected: Expected;
}

/** ResNet-20 with seeded weights as an ONNX file. The first and the last image are what a result is checked by. */
export function modelWork(batch: number, seed: number): ModelWork {
  const net = "resnet20";
  const graph = buildNet(net, { seed });
  const image = graph.inputs[0]!.shape.slice(1).map((d) => d!);
  const classes = graph.outputs[0]!.shape[1]!;
  const [input, output] = [graph.inputs[0]!.name, graph.outputs[0]!.name];
  const random = seeded(seed);
  const x = Float32Array.from({ length: batch * sizeOf(image) }, () => random.uniform() - 0.5);
  const images = [...new Set([0, batch - 1])];
  const indices = Uint32Array.from(
    images.flatMap((i) => Array.from({ length: classes }, (_, j) => i * classes + j)),
  );
  const values = Float64Array.from(
    images.flatMap((i) => {
      const one = tensor(x.slice(i * sizeOf(image), (i + 1) * sizeOf(image)), [1, ...image]);
      return [...(runReference(graph, { [input]: one })[output]!.data as Float64Array)];
    }),
  );
  return {
    case: { op: "model", net, batch, image, macs: inspectGraph(graph).macs, input, output, classes },
    operands: { x, w: new Float32Array(0), model: Uint8Array.from(writeOnnx(graph)) },
    expected: { length: batch * classes, indices, values },
  };
}
