import { suite } from "uvu";
import * as assert from "uvu/assert";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { compile } from "../../src/run/compile.ts";
import type { HostTensor } from "../../src/tensor/host-tensor.ts";
import { type Shape, showShape } from "../../src/tensor/shape.ts";
import { type Attributes, evaluateOp } from "../support/evaluate-op.ts";
import { gpuTest } from "../support/gpu.ts";
import { type Values, values } from "../support/kernel-cases.ts";

const test = suite("transposed convolutions");
const cases = 60;

interface Case {
  readonly title: string;
  /** Three outputs: of a constant weight, of a variable one, and of that with an Add of r and a Relu behind it. */
  readonly graph: Graph;
  readonly x: HostTensor;
  readonly r: HostTensor;
  readonly weight: HostTensor;
  readonly bias: HostTensor;
}

const pick = <T>(v: Values, items: readonly T[]): T => items[v.random.below(items.length)]!;

/** Attributes that say the output's size in one of the ways that ONNX has. */
function sizeAttributes(
  v: Values,
  spatial: Shape,
  kernel: Shape,
  strides: Shape,
  dilations: Shape,
): Attributes {
  const reach = kernel.map((k, i) => (k - 1) * dilations[i]! + 1);
  const full = spatial.map((size, i) => (size - 1) * strides[i]! + reach[i]!);
  const below = (list: readonly number[]): number[] => list.map((n) => v.random.below(n));
  // ONNX Runtime wants the padding of the output below stride or dilation.
  const outputPadding = below(strides.map((s, i) => Math.max(s, dilations[i]!)));
  switch (v.random.below(5)) {
    case 0:
      return {};
    case 1: {
      // Each pair of pads leaves at least one output.
      const begin = full.map((n, i) => v.random.below(Math.min(reach[i]!, Math.ceil(n / 2)) + 1));
      const end = full.map((n, i) => v.random.below(Math.min(reach[i]!, n - 1 - begin[i]!) + 1));
      if (begin.some((p, i) => p + end[i]! >= full[i]!)) return {};
      return { pads: [...begin, ...end], output_padding: outputPadding };
    }
    case 2:
      return { auto_pad: pick(v, ["SAME_UPPER", "SAME_LOWER", "VALID"]) };
    case 3:
      return {
        // Up to two more than the kernels reach.
        output_shape: full.map((n) => 1 + v.random.below(n + 2)),
        auto_pad: pick(v, ["NOTSET", "SAME_UPPER", "SAME_LOWER"]),
      };
    default:
      return { output_padding: outputPadding };
  }
}

function makeCase(seed: number): Case {
  // Small seeds in a row begin with much the same numbers, so they are spread.
  const v = values(Math.imul(seed + 1, 0x9e3779b1));
  const rank = 1 + (seed % 3);
  const n = [1, 3, 8][Math.floor(seed / 3) % 3]!;
  const of = (low: number, high: number): number[] =>
    Array.from({ length: rank }, () => low + v.random.below(high - low + 1));
  const group = pick(v, [1, 1, 2, 3]);
  const channels = group * (1 + v.random.below(4));
  // Groups below four channels run by another kernel.
  const perGroup = pick(v, group === 1 ? [1, 3, 5, 9] : [1, 4, 5, 8]);
  const spatial = of(1, rank === 3 ? 4 : 7);
  const kernel = of(1, rank === 3 ? 3 : 4);
  const strides = of(1, 3);
  const dilations = of(1, 2);
  const attributes: Attributes = {
    ...sizeAttributes(v, spatial, kernel, strides, dilations),
    strides,
    dilations,
    group,
  };
  const x = v.normal([n, channels, ...spatial]);
  const weight = v.normal([channels, perGroup, ...kernel]);
  const bias = v.normal([group * perGroup]);
  const biased = v.random.below(2) === 1;
  const [y] = evaluateOp("ConvTranspose", [x, weight], attributes);
  const b = graphBuilder("case");
  b.input("x", x.shape);
  const node = (w: string, c: string, name: string): string =>
    b.node("ConvTranspose", ["x", w, ...(biased ? [c] : [])], attributes, { name });
  const constants = [b.weight("w", weight), b.weight("b", bias)] as const;
  const variables = [b.weight("vw", weight), b.weight("vb", bias)] as const;
  for (const name of [
    node(...constants, "constant"),
    node(...variables, "variable"),
    b.node("Relu", [b.node("Add", [node(variables[0], constants[1], "before"), b.input("r", y!.shape)])]),
  ])
    b.output(name, y!.shape);
  const title = `${seed}: ${showShape(x.shape)} by ${showShape(weight.shape)}, ${JSON.stringify(attributes)}${biased ? ", bias" : ""}`;
  return { title, graph: b.build(), x, r: v.normal(y!.shape), weight, bias };
}

const kinds = { columns: 0, gather: 0 };

for (let from = 0; from < cases; from += 15) {
  gpuTest(test, `seeds ${from} to ${from + 14}`, async (gpu) => {
    for (let seed = from; seed < from + 15; seed++) {
      const { title, graph, x, r, weight, bias } = makeCase(seed);
      const session = await compile(gpu, graph, { variables: ["vw", "vb"] });
      try {
        await session.verify({ x, r }, { tolerance: 2e-5 });
        // Variables rewritten are packed anew.
        const v = values(1000 + seed);
        session.write("vw", v.normal(weight.shape));
        session.write("vb", v.normal(bias.shape));
        await session.verify({ x, r }, { tolerance: 2e-5 });
      } catch (error) {
        assert.unreachable(`${title}: ${(error as Error).message}`);
      }
      kinds[session.plan.layers.length > 0 ? "columns" : "gather"]++;
      session.dispose();
    }
  });
}

gpuTest(test, "both kinds of kernels have run", () => {
  assert.ok(kinds.columns >= 20 && kinds.gather >= 5, JSON.stringify(kinds));
});

test.run();
