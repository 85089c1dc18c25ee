import { contextOf, evaluate } from "../../src/graph/evaluate.ts";
import type { Graph, Node } from "../../src/graph/graph.ts";
import { inferTypes } from "../../src/graph/infer.ts";
import { attributesOf } from "../../src/graph/op.ts";
import { cast, type HostTensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/shape.ts";
import { randomImage } from "./random-nets.ts";

/** What one channel of one operand of a mixing node does, found by trying it out. */
export interface Trial {
  readonly value: string;
  readonly channel: number;
  /** What it holds everywhere, for every image, or NaN where it varies. */
  readonly constant: number;
  /** Does noise in its place change the graph's outputs? */
  readonly matters: boolean;
  /** Where it holds a constant: does that add what no bias of the node can (uneven at the border, or there is no bias)? */
  readonly unfoldable: boolean;
  /** Is the node a convolution in groups, depthwise ones included? */
  readonly grouped: boolean;
}

type Values = ReadonlyMap<string, HostTensor>;
type Run = (node: Node, operand: (name: string) => HostTensor | undefined) => HostTensor[];

/** Every value of the graph for three images, in double precision, and a way to run single nodes. */
function everyValue(graph: Graph): { readonly values: Values; readonly rough: Values; readonly run: Run } {
  const { name } = graph.inputs[0]!;
  const image = cast(randomImage(graph, 3, 11), "f64");
  const { types, values: known } = inferTypes(graph, new Map([[name, image.shape]]));
  const run: Run = (node, operand) => {
    const operands = node.inputs.map((input) => (input === "" ? undefined : operand(input)));
    const outputs = node.outputs.map((output) => types.get(output)!);
    const inputs = operands.map((t) => t && { dtype: t.dtype, shape: t.shape });
    return evaluate({ ...contextOf(node, types, known), inputs }, operands, outputs);
  };
  const all = (of: (node: Node) => Run): Values => {
    const values = new Map<string, HostTensor>([...graph.weights, [name, image]]);
    for (const node of graph.nodes) {
      const results = of(node)(node, (input) => values.get(input));
      for (const [k, t] of results.entries()) values.set(node.outputs[k]!, t);
    }
    return values;
  };
  return { values: all(() => run), rough: all((node) => (isPadded(node) ? roughly(run) : run)), run };
}

const padsOf = (node: Node): readonly number[] => attributesOf(node).ints("pads") ?? [];
const isPadded = (node: Node): boolean => node.op === "Conv" && padsOf(node).some((p) => p !== 0);

/**
 * A convolution with noise of the channel's size around its input where zeros would be. What the border alone makes vary (and
 * every average over space of it) is the same for all images, but it is no constant of the net: here it shows.
 */
const roughly =
  (run: Run): Run =>
  (node, operand) => {
    const x = operand(node.inputs[0]!)!;
    const [top, left, bottom, right] = padsOf(node) as [number, number, number, number];
    const [n, c, h, w] = x.shape as [number, number, number, number];
    const shape = [n, c, top + h + bottom, left + w + right];
    const random = seeded(x.data.length);
    const data = new Float64Array(sizeOf(shape));
    for (let plane = 0; plane < n * c; plane++) {
      const own = (x.data as Float64Array).subarray(plane * h * w, (plane + 1) * h * w);
      const scale = own.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
      const at = plane * shape[2]! * shape[3]!;
      for (let i = 0; i < shape[2]! * shape[3]!; i++) data[at + i] = scale * random.normal();
      for (let y = 0; y < h; y++)
        data.set(own.subarray(y * w, (y + 1) * w), at + (top + y) * shape[3]! + left);
    }
    const padded: HostTensor = { dtype: "f64", shape, data };
    const bare = { ...node, attributes: new Map([...node.attributes, ["pads", [0, 0, 0, 0]] as const]) };
    return run(bare, (name) => (name === node.inputs[0] ? padded : operand(name)));
  };

/** What all of them are, up to rounding, or NaN. */
function onlyValue(values: readonly number[]): number {
  const first = values[0]!;
  return values.every((v) => Math.abs(v - first) <= 1e-12 * Math.abs(first)) ? first : Number.NaN;
}

const isOf = (x: HostTensor, channel: number, i: number): boolean =>
  Math.floor(i / sizeOf(x.shape.slice(2))) % x.shape[1]! === channel;

const channelOf = (x: HostTensor, channel: number): number[] =>
  [...(x.data as Float64Array)].filter((_, i) => isOf(x, channel, i));

/**
 * Tries every channel of the first operand of every Conv, Gemm and MatMul: runs the rest of the net with noise in its place.
 * `tried` says which channels; all unless given.
 */
export function tryChannels(
  graph: Graph,
  tried: (value: string, channel: number) => boolean = () => true,
): Trial[] {
  const { values: base, rough, run } = everyValue(graph);
  const random = seeded(7);
  /** Largest change of an output when `node` sees `operand` in place of its first operand. */
  const change = (node: Node, operand: HostTensor): number => {
    const changed = new Map<string, HostTensor>();
    for (const other of graph.nodes.slice(graph.nodes.indexOf(node))) {
      if (other !== node && !other.inputs.some((name) => changed.has(name))) continue;
      const [result] = run(other, (name) =>
        other === node && name === node.inputs[0] ? operand : (changed.get(name) ?? base.get(name)),
      );
      changed.set(other.outputs[0]!, result!);
    }
    return Math.max(
      0,
      ...graph.outputs.flatMap(({ name }) => {
        const got = changed.get(name);
        const old = base.get(name)!.data as Float64Array;
        return got ? [...(got.data as Float64Array)].map((v, i) => Math.abs(v - old[i]!)) : [];
      }),
    );
  };
  const uneven = (node: Node, x: HostTensor, channel: number): boolean => {
    const raised = { ...x, data: (x.data as Float64Array).map((v, i) => v + (isOf(x, channel, i) ? 1 : 0)) };
    const [more, less] = [raised, x].map(
      (t) => run(node, (name) => (name === node.inputs[0] ? t : base.get(name)))[0]!,
    ) as [HostTensor, HostTensor];
    const added = (more.data as Float64Array).map((v, i) => v - (less.data as Float64Array)[i]!);
    const pixels = sizeOf(more.shape.slice(2));
    return added.some((v, i) => Math.abs(v - added[i - (i % pixels)]!) > 1e-9);
  };
  const trials: Trial[] = [];
  for (const node of graph.nodes) {
    if (!["Conv", "Gemm", "MatMul"].includes(node.op) || !graph.weights.has(node.inputs[1]!)) continue;
    const [value] = node.inputs as [string];
    if (value === graph.inputs[0]!.name) continue;
    const x = base.get(value)!;
    for (let channel = 0; channel < x.shape[1]!; channel++) {
      if (!tried(value, channel)) continue;
      const held = [x, rough.get(value)!].flatMap((t) => channelOf(t, channel));
      const noisy = Float64Array.from(x.data as Float64Array, (v, i) =>
        isOf(x, channel, i) ? v + 10 * random.normal() : v,
      );
      const constant = onlyValue(held);
      trials.push({
        value,
        channel,
        constant,
        matters: change(node, { ...x, data: noisy }) > 1e-9,
        unfoldable:
          !Number.isNaN(constant) && constant !== 0 && (node.op === "MatMul" || uneven(node, x, channel)),
        grouped: attributesOf(node).int("group", 1) > 1,
      });
    }
  }
  return trials;
}
