import { type Dataset, preprocess } from "../data/dataset.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { type Graph, makeGraph } from "../graph/graph.ts";
import { type Inference, inferTypes } from "../graph/infer.ts";
import type { Preprocessing } from "../graph/metadata.ts";
import { compile } from "../run/compile.ts";
import { checkImages, type Evaluation, scoreLogits, shapedFor } from "../run/evaluate.ts";
import type { Session, Tensors } from "../run/session.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { sizeOf } from "../tensor/shape.ts";

/** Activations kept on the host, at most; beyond that no further prefix is cut off. */
const mostBytes = 2 ** 29;

/** Measures a net whose weights change from some place on: what lies before is run once and kept. */
export interface SuffixRunner {
  /** Nodes that lie behind the cut: only weights that these read may be changed. */
  readonly cut: number;
  /** Cuts off everything before node `at`, where the graph lets itself be cut and the activations are not too many. */
  advance(at: number): Promise<void>;
  /** Accuracy with these weights in place of the graph's own. */
  measure(changed: ReadonlyMap<string, HostTensor>): Promise<Evaluation>;
  dispose(): void;
}

/** Runs the images through a graph's only image input to its first output, in batches of one size. */
export function makeSuffixRunner(
  gpu: Gpu,
  graph: Graph,
  data: Dataset,
  preprocessing: Preprocessing,
  variables: readonly string[],
  batch: number,
): SuffixRunner {
  const input = graph.inputs[0]!;
  checkImages(input, data);
  const size = Math.min(batch, data.length);
  const starts = Array.from({ length: Math.ceil(data.length / size) }, (_, k) =>
    // A last short batch begins earlier, so that no new shape is compiled.
    Math.min(k * size, data.length - size),
  );
  const output = graph.outputs[0]!;
  const own = new Set(variables);
  let cut = 0;
  let kept: Tensors[] = starts.map((from) => ({
    [input.name]: shapedFor(input, preprocess(data, from, size, preprocessing)),
  }));
  let session: Session | undefined;
  let types: Inference["types"] | undefined;
  let altered: readonly string[] = [];

  const typesOf = (): Inference["types"] => {
    types ??= inferTypes(graph, new Map([[input.name, kept[0]![input.name]!.shape]]), new Map(), {
      variables: own,
    }).types;
    return types;
  };

  /** Nodes `from` to before `to` as a graph of their own, from the values kept now to `outputs`. */
  const part = (from: number, to: number, outputs: readonly string[]): Graph => {
    const nodes = graph.nodes.slice(from, to);
    const read = new Set([...nodes.flatMap((n) => n.inputs), ...outputs]);
    const value = (name: string) => {
      const { dtype, shape } = typesOf().get(name)!;
      return { name, dtype, shape };
    };
    const weights = new Map([...graph.weights].filter(([name]) => read.has(name)));
    return makeGraph({
      name: `${graph.name} from node ${from}`,
      inputs: Object.keys(kept[0]!).map(value),
      outputs: outputs.map(value),
      nodes,
      weights,
    });
  };

  async function compiled(): Promise<Session> {
    if (session) return session;
    const suffix = part(cut, graph.nodes.length, [output.name]);
    const open = variables.filter((name) => suffix.weights.has(name));
    session = await compile(gpu, suffix, { variables: open, batch: size });
    return session;
  }

  async function advance(at: number): Promise<void> {
    if (at <= cut) return;
    typesOf();
    const before = new Set([
      ...Object.keys(kept[0]!),
      ...graph.nodes.slice(cut, at).flatMap((n) => n.outputs.filter((name) => name !== "")),
    ]);
    const after = new Set(graph.nodes.slice(at).flatMap((n) => n.inputs));
    const crossing = [...before].filter((name) => after.has(name));
    // The output has to come from behind the cut, and shapes that are computed cannot cross it.
    if (before.has(output.name) || crossing.length === 0) return;
    if (crossing.some((name) => typesOf().get(name)!.dtype !== "f32")) return;
    const bytes = crossing.reduce((n, name) => n + 4 * sizeOf(typesOf().get(name)!.shape), 0);
    if (bytes * starts.length > mostBytes) return;
    const made = crossing.filter((name) => !(name in kept[0]!));
    const next: Tensors[] = [];
    const prefix = made.length > 0 ? await compile(gpu, part(cut, at, made), { batch: size }) : undefined;
    try {
      for (const tensors of kept) {
        const results = { ...tensors, ...(await prefix?.run(tensors)) };
        next.push(Object.fromEntries(crossing.map((name) => [name, results[name]!])));
      }
    } finally {
      prefix?.dispose();
    }
    session?.dispose();
    session = undefined;
    altered = [];
    kept = next;
    cut = at;
  }

  return {
    get cut() {
      return cut;
    },
    advance,
    async measure(changed) {
      const ready = await compiled();
      for (const name of altered) if (!changed.has(name)) ready.write(name, graph.weights.get(name)!);
      for (const [name, value] of changed) ready.write(name, value);
      altered = [...changed.keys()];
      let [top1, top5, loss] = [0, 0, 0];
      for (const [k, tensors] of kept.entries()) {
        const logits = (await ready.run(tensors))[output.name]!;
        const from = k * size;
        const count = Math.min(size, data.length - from);
        const scores = scoreLogits(logits, from - starts[k]!, data, from, count);
        top1 += scores.top1;
        top5 += scores.top5;
        loss += scores.loss;
      }
      const n = data.length;
      return { top1: top1 / n, top5: top5 / n, loss: loss / n, images: n };
    },
    dispose: () => session?.dispose(),
  };
}
