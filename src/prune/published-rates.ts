/** One published allocation: a rate per convolution, as its authors list them. */
export interface PublishedRates {
  /** Family, architecture and the multiply-adds that its authors print. */
  readonly name: string;
  readonly family: "hrankplus" | "hrank";
  readonly arch: string;
  /** What its authors print for MACs and parameters, each in their own convention (see report/counts.ts). */
  readonly printed: readonly [macs: string, parameters: string];
  /** In the order of the family's own lists; published.ts says which rate belongs to which convolution. */
  readonly rates: readonly number[];
}

type Run = readonly [count: number, rate: number];
const times = (runs: readonly Run[]): number[] =>
  runs.flatMap(([count, rate]) => Array<number>(count).fill(rate));

const entry = (
  family: PublishedRates["family"],
  arch: string,
  printed: PublishedRates["printed"],
  ...runs: readonly Run[]
): PublishedRates => ({
  name: `${family}-${arch}-${printed[0]}`,
  family,
  arch,
  printed,
  rates: times(runs),
});

/**
 * Allocations whose published counts come out exactly. HRankPlus: Lin et al., the improved code of HRank (repository
 * lmbxmu/HRankPlus at bcdb51dd; rates from its README, from that of Eclipsess/CHIP_NeurIPS2021 and from later projects' scripts);
 * counts of a net that is really smaller. HRank: Lin et al., "HRank: filter pruning using high-rank feature map" (CVPR 2020, arXiv
 * 2002.10179; repository lmbxmu/HRank at c03ac851); counts of filters only. Rows of either that do not follow from rates their
 * authors published are left out.
 */
export const publishedRates: readonly PublishedRates[] = [
  entry("hrankplus", "vgg16", ["131.17M", "2.76M"], [7, 0.21], [5, 0.75]),
  entry("hrankplus", "vgg16", ["104.78M", "2.50M"], [7, 0.3], [5, 0.75]),
  entry("hrankplus", "vgg16", ["66.95M", "1.90M"], [7, 0.45], [5, 0.78]),
  entry("hrankplus", "resnet56", ["90.35M", "0.66M"], [1, 0], [29, 0.18]),
  entry("hrankplus", "resnet56", ["65.94M", "0.48M"], [1, 0], [2, 0.15], [27, 0.4]),
  entry("hrankplus", "resnet56", ["34.78M", "0.24M"], [1, 0], [2, 0.4], [9, 0.5], [9, 0.6], [9, 0.7]),
  entry("hrankplus", "resnet110", ["140.54M", "1.04M"], [1, 0], [2, 0.2], [18, 0.3], [36, 0.35]),
  entry("hrankplus", "resnet110", ["101.97M", "0.72M"], [1, 0], [2, 0.25], [18, 0.4], [36, 0.55]),
  entry("hrankplus", "resnet110", ["71.69M", "0.54M"], [1, 0], [2, 0.4], [18, 0.5], [36, 0.65]),
  entry(
    "hrankplus",
    "densenet40",
    ["173.39M", "0.62M"],
    [1, 0],
    [12, 0.2],
    [1, 0],
    [12, 0.2],
    [1, 0],
    [12, 0.2],
  ),
  entry(
    "hrankplus",
    "densenet40",
    ["133.17M", "0.45M"],
    [1, 0],
    [12, 0.3],
    [1, 0.1],
    [12, 0.3],
    [1, 0.1],
    [12, 0.3],
  ),
  entry(
    "hrankplus",
    "densenet40",
    ["113.08M", "0.39M"],
    [1, 0],
    [12, 0.4],
    [1, 0],
    [12, 0.4],
    [1, 0],
    [12, 0.4],
  ),
  entry("hrankplus", "googlenet", ["649.19M", "2.85M"], [1, 0.3], [2, 0.6], [5, 0.7], [2, 0.8]),
  entry("hrankplus", "googlenet", ["395.42M", "2.09M"], [1, 0.4], [2, 0.85], [7, 0.9]),
  entry("hrankplus", "resnet50", ["2.26B", "15.09M"], [1, 0], [3, 0.1], [16, 0.35]),
  entry("hrankplus", "resnet50", ["1.52B", "11.05M"], [1, 0], [3, 0.25], [16, 0.5]),
  entry("hrankplus", "resnet50", ["0.95B", "8.02M"], [1, 0], [3, 0.5], [16, 0.6]),
  entry(
    "hrank",
    "resnet56",
    ["62.72M", "0.49M"],
    [1, 0.1],
    [35, 0.6],
    [2, 0],
    [6, 0.6],
    [3, 0.4],
    ...[0.1, 0.4, 0.1, 0.4, 0.1, 0.4, 0.1, 0.4].map((rate): Run => [1, rate]),
  ),
  entry("hrank", "resnet110", ["79.30M", "0.53M"], [1, 0.1], [108, 0.7]),
  entry(
    "hrank",
    "densenet40",
    ["167.41M", "0.66M"],
    [1, 0],
    [6, 0.1],
    [6, 0.7],
    [1, 0],
    [6, 0.1],
    [6, 0.7],
    [1, 0],
    [6, 0.1],
    [5, 0.7],
    [1, 0],
  ),
  entry("hrank", "googlenet", ["0.45B", "1.86M"], [1, 0.1], [5, 0.8], [1, 0.85], [3, 0.8]),
  entry("hrank", "googlenet", ["0.69B", "2.74M"], [1, 0.1], [1, 0.7], [1, 0.5], [4, 0.8], [1, 0.5], [2, 0.6]),
  entry("hrank", "resnet50", ["1.55B", "13.77M"], [1, 0.2], [23, 0.8], [19, 0.55], [10, 0.45]),
  entry("hrank", "resnet50", ["0.98B", "8.27M"], [1, 0.2], [23, 0.8], [19, 0.8], [10, 0.7]),
];
