import type { Dataset } from "../data/dataset.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import type { Preprocessing } from "../graph/metadata.ts";
import { compile } from "../run/compile.ts";
import { type Evaluation, evaluate } from "../run/evaluate.ts";
import type { Session } from "../run/session.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";

/** Measures a net whose weights change, without compiling again. */
export interface Validator {
  /** Accuracy of the net with these values of its variables. */
  measure(values: ReadonlyMap<string, HostTensor>, data: Dataset): Promise<Evaluation>;
  dispose(): void;
}

/** Compiled for `batch` images at the first measurement. */
export function makeValidator(
  gpu: Gpu,
  graph: Graph,
  variables: readonly string[],
  preprocessing: Preprocessing,
  batch: number,
): Validator {
  let session: Session | undefined;
  let size = 0;
  return {
    async measure(values, data) {
      const wanted = Math.min(batch, data.length);
      if (!session || size !== wanted) {
        session?.dispose();
        session = await compile(gpu, graph, { plan: "estimated", variables, batch: wanted });
        size = wanted;
      }
      for (const name of variables) session.write(name, values.get(name)!);
      return evaluate(session, data, preprocessing, { batch: wanted });
    },
    dispose: () => session?.dispose(),
  };
}
