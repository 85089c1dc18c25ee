import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Graph } from "../../src/graph/graph.ts";
import { inspectGraph } from "../../src/graph/statistics.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { prune } from "../../src/prune/prune.ts";

const test = suite("prune published nets");

// Rates from HRankPlus (lmbxmu/HRankPlus) and CHIP (Eclipsess/CHIP_NeurIPS2021); MACs and learned values of the smaller net.
const vgg: readonly (readonly [readonly number[], number, number])[] = [
  [[...Array(7).fill(0.21), ...Array(5).fill(0.75)], 130_566_528, 2_766_541],
  [[...Array(7).fill(0.3), ...Array(5).fill(0.75)], 104_242_752, 2_505_793],
  [[...Array(7).fill(0.45), ...Array(5).fill(0.78)], 66_521_088, 1_901_836],
];

// Rates of the output of stages 1 to 3 and of the inner convolutions.
const resnet50: readonly (readonly [number, number, number, number])[] = [
  [0.1, 0.35, 2_240_373_880, 15_091_575],
  [0.25, 0.5, 1_507_328_000, 11_047_336],
  [0.5, 0.6, 943_231_376, 8_017_755],
];

const convs = (graph: Graph): string[] => graph.nodes.filter((n) => n.op === "Conv").map((n) => n.name);

async function counts(graph: Graph, sparsity: Record<string, number>): Promise<[number, number]> {
  const { graph: small } = await prune(graph, { method: "magnitude", granularity: "filter", sparsity });
  const { macs, parameters } = inspectGraph(small);
  return [macs, parameters];
}

test("baselines: plain MACs, and learned values with BatchNormalization's", () => {
  for (const [name, macs, parameters] of [
    ["vgg16", 313_463_808, 14_991_946],
    ["resnet56", 125_485_696, 853_018],
    ["resnet110", 252_887_680, 1_727_962],
    ["resnet50", 4_089_184_256, 25_557_032],
  ] as const) {
    const found = inspectGraph(buildNet(name, { init: "zeros" }));
    assert.equal([found.macs, found.parameters], [macs, parameters], name);
  }
});

test("VGG-16 at the published rates has the published counts", async () => {
  const graph = buildNet("vgg16", { init: "zeros" });
  for (const [rates, macs, parameters] of vgg) {
    const sparsity = Object.fromEntries(rates.map((rate, i) => [convs(graph)[i]!, rate]));
    assert.equal(await counts(graph, sparsity), [macs, parameters]);
  }
});

test("ResNet-50 at the published rates has the published counts", async () => {
  const graph = buildNet("resnet50", { init: "zeros" });
  for (const [stage, inner, macs, parameters] of resnet50) {
    const sparsity: Record<string, number> = {};
    for (const name of convs(graph)) {
      if (/conv[12]$/.test(name) && name.startsWith("layer")) sparsity[name] = inner;
      else if (/^layer[123]\./.test(name)) sparsity[name] = stage;
    }
    assert.equal(await counts(graph, sparsity), [macs, parameters]);
  }
});

test("GoogLeNet at the published rates has the published counts", async () => {
  const graph = buildNet("googlenet", { init: "zeros" });
  const modules = ["a3", "b3", "a4", "b4", "c4", "d4", "e4", "a5", "b5"];
  for (const [rates, ...expected] of [
    [[0.6, 0.6, 0.7, 0.7, 0.7, 0.7, 0.7, 0.8, 0.8], 643_804_480, 2_857_760],
    [[0.85, 0.85, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9], 390_804_480, 2_099_266],
  ] as const) {
    const sparsity: Record<string, number> = {};
    for (const [i, name] of modules.entries()) {
      sparsity[`${name}.b3.3`] = rates[i]!;
      if (name !== "b5") sparsity[`${name}.b3.6`] = rates[i]!;
      if (name !== "b5") sparsity[`${name}.b2.3`] = rates[i]!;
    }
    assert.equal(await counts(graph, sparsity), expected);
  }
});

test.run();
