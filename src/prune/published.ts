import { InputError, printable } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { buildNet } from "../nets/build-net.ts";
import { type FilterRounding, keptFilters } from "./budget.ts";
import { type PublishedRates, publishedRates } from "./published-rates.ts";

export { type PublishedRates, publishedRates } from "./published-rates.ts";

/** A published allocation in the terms of `prune`: `sparsity` and `rounding` go into its options as they are. */
export interface PublishedShares {
  readonly arch: string;
  readonly sparsity: Readonly<Record<string, number>>;
  readonly rounding: FilterRounding;
  /**
   * Convolutions whose published rate is not in `sparsity`, because their channels cannot go without others that the authors keep:
   * the stem and the outputs of the blocks of a CIFAR ResNet, which shortcut A hands on from stage to stage.
   */
  readonly left: readonly string[];
}

/** The allocation of that name; E_INPUT with all names for any other. */
export function findPublished(name: string): PublishedRates {
  const found = publishedRates.find((p) => p.name === name);
  if (found) return found;
  throw new InputError(
    `there are no published rates "${printable(name)}"; there are ${publishedRates.map((p) => p.name).join(", ")}.`,
  );
}

const isCifarResNet = (arch: string): boolean => arch === "resnet56" || arch === "resnet110";

/** How the family turns a rate into a number of filters. */
const roundingOf = ({ family }: PublishedRates): FilterRounding => (family === "hrank" ? "removed" : "kept");

/**
 * The published rates as shares per layer for filter pruning of the built-in net. Where the authors count from a width that has
 * already shrunk (DenseNet's transitions in HRankPlus), the share is the one that keeps their number of filters.
 */
export function publishedShares(name: string): PublishedShares {
  const published = findPublished(name);
  const rates = ratesByLayer(published);
  const full = convWidths(buildNet(published.arch, { init: "zeros" }));
  const kept = widthsOf(published, rates, full);
  const stays = (layer: string): boolean => isCifarResNet(published.arch) && !/\.conv1$/.test(layer);
  const rounding = roundingOf(published);
  const sparsity: Record<string, number> = {};
  for (const [layer, rate] of rates) {
    if (stays(layer)) continue;
    const [width, left] = [full.get(layer)!, kept.get(layer)!];
    sparsity[layer] = keptFilters(width, rate, rounding) === left ? rate : 1 - (left + 0.5) / width;
  }
  const left = [...rates].filter(([layer, rate]) => stays(layer) && rate > 0).map(([layer]) => layer);
  return { arch: published.arch, sparsity, rounding, left };
}

/**
 * Filters of every convolution after pruning, for `buildModel(arch, { widths })`: the published shape with fresh weights. E_INPUT
 * for HRank's CIFAR ResNets, whose rates differ along one residual stream: no net has these widths.
 */
export function publishedWidths(name: string): ReadonlyMap<string, number> {
  const published = findPublished(name);
  if (published.family === "hrank" && isCifarResNet(published.arch)) {
    throw new InputError(
      `${name} masks filters that a residual stream still needs, so no smaller net has its widths. Use its shares for the layers inside the blocks.`,
    );
  }
  const full = convWidths(buildNet(published.arch, { init: "zeros" }));
  return new Map([...full, ...widthsOf(published, ratesByLayer(published), full)]);
}

/** Output channels of every convolution, by node name in graph order. */
export const convWidths = (graph: Graph): Map<string, number> =>
  new Map(
    graph.nodes
      .filter((node) => node.op === "Conv")
      .map((node) => [node.name, graph.weights.get(node.inputs[1]!)!.shape[0]!]),
  );

function widthsOf(
  published: PublishedRates,
  rates: ReadonlyMap<string, number>,
  full: ReadonlyMap<string, number>,
): Map<string, number> {
  const kept = new Map<string, number>();
  let joined = full.get("conv1") ?? 0;
  for (const [layer, rate] of rates) {
    const transition = published.family === "hrankplus" && layer.startsWith("trans");
    const n = transition
      ? Math.floor(joined * (1 - rate))
      : keptFilters(full.get(layer)!, rate, roundingOf(published));
    kept.set(layer, n);
    joined = layer.startsWith("dense") ? joined + n : n;
  }
  return kept;
}

/** Which rate belongs to which convolution. */
export function ratesByLayer({ family, arch, rates }: PublishedRates): Map<string, number> {
  const names = (family === "hrank" ? hrankLayers : hrankPlusLayers)(arch);
  return new Map(names.flatMap((list, i) => list.map((name): [string, number] => [name, rates[i]!])));
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const vgg = [0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40].map((n) => `features.${n}`);
const inceptions = ["a3", "b3", "a4", "b4", "c4", "d4", "e4", "a5", "b5"];
const bottlenecks = [3, 4, 6, 3];
const blocksPerStage = (arch: string): number => (arch === "resnet56" ? 9 : 18);
const denseLayers = [1, 2, 3].flatMap((b) => [
  ...range(12).map((i) => [`dense${b}.${i}.conv1`]),
  ...(b < 3 ? [[`trans${b}.conv1`]] : []),
]);

/**
 * HRankPlus. VGG-16: convolutions 1 to 12. CIFAR ResNets: stem, outputs of stages 1 and 2, inner width of each block. DenseNet: stem
 * (ignored), layers and transitions. GoogLeNet: stem (ignored), then one per module for the 3x3 and both 3x3 of the 5x5 branch, in
 * b5 only for the middle one. ResNet-50: stem, outputs of stages 1 to 3 with their shortcuts, then one per block for its 1x1 and 3x3.
 */
function hrankPlusLayers(arch: string): readonly (readonly string[])[] {
  if (arch === "vgg16") return vgg.slice(0, 12).map((name) => [name]);
  if (arch === "densenet40") return [[], ...denseLayers];
  if (arch === "googlenet") {
    return [
      [],
      ...inceptions.map((m) => (m === "b5" ? ["b5.b3.3"] : [`${m}.b2.3`, `${m}.b3.3`, `${m}.b3.6`])),
    ];
  }
  if (arch === "resnet50") {
    const outputs = range(3).map((s) => [
      `layer${s + 1}.0.downsample.0`,
      ...range(bottlenecks[s]!).map((i) => `layer${s + 1}.${i}.conv3`),
    ]);
    const inner = bottlenecks.flatMap((n, s) =>
      range(n).map((i) => [`layer${s + 1}.${i}.conv1`, `layer${s + 1}.${i}.conv2`]),
    );
    return [["conv1"], ...outputs, ...inner];
  }
  const n = blocksPerStage(arch);
  return [
    ["conv1"],
    ...[1, 2].map((s) => range(n).map((i) => `layer${s}.${i}.conv2`)),
    ...[1, 2, 3].flatMap((s) => range(n).map((i) => [`layer${s}.${i}.conv1`])),
  ];
}

/**
 * HRank. CIFAR ResNets: stem, then both convolutions of every block. DenseNet: stem, layers and transitions. GoogLeNet: stem, then
 * one per module for the 1x1, the 3x3, both 3x3 of the 5x5 branch and the pool's 1x1; the published figures need d4's rate for c4.
 * ResNet-50: stem, then per stage the shortcut and 1x1, 3x3, 1x1 of every block.
 */
function hrankLayers(arch: string): readonly (readonly string[])[] {
  if (arch === "densenet40") return [["conv1"], ...denseLayers];
  if (arch === "googlenet") {
    const pruned = (m: string): string[] =>
      ["b1.0", "b2.3", "b3.3", "b3.6", "b4.1"].map((part) => `${m}.${part}`);
    return [
      ["pre_layers.0"],
      ...inceptions.map((m) =>
        m === "c4" ? [] : m === "d4" ? [...pruned("c4"), ...pruned("d4")] : pruned(m),
      ),
    ];
  }
  if (arch === "resnet50") {
    const stages = bottlenecks.flatMap((n, s) => [
      [`layer${s + 1}.0.downsample.0`],
      ...range(n).flatMap((i) => [1, 2, 3].map((k) => [`layer${s + 1}.${i}.conv${k}`])),
    ]);
    return [["conv1"], ...stages];
  }
  const n = blocksPerStage(arch);
  return [
    ["conv1"],
    ...[1, 2, 3].flatMap((s) => range(n).flatMap((i) => [1, 2].map((k) => [`layer${s}.${i}.conv${k}`]))),
  ];
}
