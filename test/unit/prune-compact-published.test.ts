import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Graph } from "../../src/graph/graph.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { compact } from "../../src/prune/compact.ts";
import { prune } from "../../src/prune/prune.ts";
import { findPublished, publishedShares, ratesByLayer } from "../../src/prune/published.ts";
import { sameOutputs } from "../support/prune-outputs.ts";
import { ones, plainCounts } from "../support/published.ts";
import { randomImage, randomNet } from "../support/random-nets.ts";

const test = suite("what filters-only rates really save");

// The same rates with the masked channels really removed ("inner": only those inside residual blocks): plain MACs, W, W + b, W + b + BN.
const vggRates = [0.95, ...Array(6).fill(0.5), ...Array(4).fill(0.9), ...Array(1).fill(0.8)];
const convs = (graph: Graph): string[] => graph.nodes.filter((n) => n.op === "Conv").map((n) => n.name);
const listed = (arch: string, rates: readonly number[]): Record<string, number> =>
  Object.fromEntries(rates.map((rate, i) => [convs(buildNet(arch, { init: "zeros" }))[i]!, rate]));
const inner = (name: string): Record<string, number> =>
  Object.fromEntries(
    [...ratesByLayer(findPublished(name))].filter(([layer]) => /^conv1$|conv[12]$/.test(layer)),
  );
/** GoogLeNet's counts here are with c4's own rate, which the published filters-only figure mistook. */
const withOwnC4 = (name: string, rate: number): Record<string, number> => {
  const { sparsity } = publishedShares(name);
  return Object.fromEntries(
    Object.entries(sparsity).map(([layer, s]) => [layer, layer.startsWith("c4.") ? rate : s]),
  );
};
const shares = (name: string): Readonly<Record<string, number>> => publishedShares(name).sparsity;
const truly: readonly (readonly [string, string, Readonly<Record<string, number>>, readonly number[]])[] = [
  ["VGG-16, 13th whole", "vgg16", listed("vgg16", vggRates), [43_232_112, 1_348_200, 1_350_093, 1_353_859]],
  [
    "VGG-16, 13th at 0.8",
    "vgg16",
    listed("vgg16", [...vggRates, 0.8]),
    [41_506_132, 759_649, 761_133, 764_081],
  ],
  ["ResNet-56 62.72M", "resnet56", shares("hrank-resnet56-62.72M"), [65_065_600, 542_080, 542_090, 545_324]],
  [
    "ResNet-110 156.90M",
    "resnet110",
    Object.fromEntries(Object.keys(shares("hrank-resnet110-79.30M")).map((layer) => [layer, 0.4])),
    [156_912_256, 1_054_864, 1_054_874, 1_061_422],
  ],
  [
    "ResNet-110 79.30M",
    "resnet110",
    shares("hrank-resnet110-79.30M"),
    [79_331_968, 538_192, 538_202, 543_526],
  ],
  ["DenseNet-40", "densenet40", shares("hrank-densenet40-167.41M"), [157_654_724, 639_545, 639_555, 656_941]],
  [
    "GoogLeNet 0.45B",
    "googlenet",
    withOwnC4("hrank-googlenet-0.45B", 0.8),
    [248_687_884, 894_040, 896_931, 902_693],
  ],
  [
    "GoogLeNet 0.69B",
    "googlenet",
    withOwnC4("hrank-googlenet-0.69B", 0.8),
    [458_204_312, 1_724_747, 1_728_577, 1_736_217],
  ],
  [
    "ResNet-50 1.55B",
    "resnet50",
    inner("hrank-resnet50-1.55B"),
    [1_377_968_588, 12_383_759, 12_384_759, 12_429_491],
  ],
  [
    "ResNet-50 0.98B",
    "resnet50",
    inner("hrank-resnet50-0.98B"),
    [933_434_316, 8_100_879, 8_101_879, 8_143_539],
  ],
];
for (const [label, arch, sparsity, expected] of truly) {
  test(`HRank's rates, truly compacted: ${label}`, async () => {
    const options = { method: "magnitude", granularity: "filter", sparsity, rounding: "removed" } as const;
    const graph = arch === "resnet50" ? ones(arch) : randomNet(arch);
    const { graph: kept } = await prune(graph, { ...options, keepShape: true });
    const { graph: small } = await compact(kept);
    if (arch !== "resnet50") sameOutputs(small, kept, { image: randomImage(kept) });
    // The image was made small for the reference; the counts are for the net's own.
    assert.equal(plainCounts({ ...small, inputs: buildNet(arch, { init: "zeros" }).inputs }), expected);
  });
}

test.run();
