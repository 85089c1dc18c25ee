import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Graph } from "../../src/graph/graph.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { keptFilters } from "../../src/prune/budget.ts";
import { prune } from "../../src/prune/prune.ts";
import {
  findPublished,
  publishedRates,
  publishedShares,
  publishedWidths,
} from "../../src/prune/published.ts";
import { countBy } from "../../src/report/counts.ts";
import { fails } from "../support/error.ts";
import { ones, plainCounts, total } from "../support/published.ts";

const test = suite("prune published nets");

// Plain MACs, W, W + b, W + b + BN; then thop-2020 MACs and filters-only MACs.
const baselines: Readonly<Record<string, readonly [readonly number[], number, number]>> = {
  vgg16: [[313_463_808, 14_977_728, 14_982_474, 14_991_946], 314_294_272, 313_464_330],
  resnet56: [[125_485_696, 848_944, 848_954, 853_018], 126_550_656, 125_485_706],
  resnet110: [[252_887_680, 1_719_856, 1_719_866, 1_727_962], 254_984_832, 252_887_690],
  densenet40: [[282_917_328, 1_040_568, 1_040_578, 1_059_298], 287_709_648, 282_917_338],
  googlenet: [[1_521_756_160, 6_142_528, 6_150_442, 6_166_250], 1_529_420_800, 1_521_756_170],
  resnet50: [[4_089_184_256, 25_502_912, 25_503_912, 25_557_032], 4_111_412_224, 4_089_185_256],
};
for (const [arch, [counts, thop, filters]] of Object.entries(baselines)) {
  test(`${arch} counts as published in all three conventions`, () => {
    const graph = ones(arch);
    assert.equal(plainCounts(graph), counts);
    assert.equal(total(countBy(graph, "plain")), [counts[0], counts[3]]);
    assert.equal(total(countBy(graph, "thop-2020")), [thop, counts[3]]);
    assert.equal(total(countBy(graph, "filters-only")), [filters, counts[2]]);
  });
}

// Set A, HRankPlus: thop-2020 MACs, W + b + BN, plain MACs, W, W + b.
const compacted: Readonly<Record<string, readonly [number, number, number, number, number]>> = {
  "vgg16-131.17M": [131_173_888, 2_766_541, 130_566_528, 2_758_815, 2_761_397],
  "vgg16-104.78M": [104_781_568, 2_505_793, 104_242_752, 2_498_382, 2_500_859],
  "vgg16-66.95M": [66_950_272, 1_901_836, 66_521_088, 1_895_184, 1_897_408],
  "resnet56-90.35M": [90_345_600, 660_157, 89_460_352, 656_623, 656_633],
  "resnet56-65.94M": [65_935_872, 485_413, 65_168_128, 482_311, 482_321],
  "resnet56-34.78M": [34_781_760, 240_793, 34_197_184, 238_393, 238_403],
  "resnet110-140.54M": [140_543_424, 1_045_951, 139_006_144, 1_039_681, 1_039_691],
  "resnet110-101.97M": [101_971_584, 719_746, 100_602_496, 714_268, 714_278],
  "resnet110-71.69M": [71_688_960, 543_742, 70_554_880, 538_912, 538_922],
  "densenet40-173.39M": [173_387_544, 622_924, 169_583_640, 608_406, 608_416],
  "densenet40-133.17M": [133_168_230, 451_882, 129_828_582, 439_938, 439_948],
  "densenet40-113.08M": [113_081_928, 395_908, 109_936_968, 384_198, 384_208],
  "googlenet-649.19M": [649_192_384, 2_857_760, 643_804_480, 2_841_064, 2_846_636],
  "googlenet-395.42M": [395_420_736, 2_099_266, 390_804_480, 2_084_448, 2_089_394],
  "resnet50-2.26B": [2_258_929_592, 15_091_575, 2_240_373_880, 15_044_941, 15_045_941],
  "resnet50-1.52B": [1_522_957_824, 11_047_336, 1_507_328_000, 11_006_144, 11_007_144],
  "resnet50-0.95B": [954_863_192, 8_017_755, 943_231_376, 7_983_479, 7_984_479],
};

test("all rows of both sets are there", () => {
  const names = publishedRates.map((p) => p.name);
  assert.is(new Set(names).size, names.length);
  assert.equal(
    names.filter((n) => n.startsWith("hrankplus-")),
    Object.keys(compacted).map((n) => `hrankplus-${n}`),
  );
  assert.is(names.length, 17 + 7);
});

for (const [row, [thop, parameters, macs, weights, withBiases]] of Object.entries(compacted)) {
  const name = `hrankplus-${row}`;
  const { arch, printed } = findPublished(name);
  const exact = (graph: Graph): void => {
    assert.equal(plainCounts(graph), [macs, weights, withBiases, parameters]);
    assert.equal(total(countBy(graph, "thop-2020")), [thop, parameters]);
  };
  test(`${name}: the published shape has the published counts`, () => {
    exact(buildNet(arch, { init: "zeros", widths: publishedWidths(name) }));
    // MACs are printed rounded to two decimals; parameters are sometimes cut.
    const unit = printed[0].endsWith("B") ? 1e9 : 1e6;
    assert.is((thop / unit).toFixed(2), printed[0].slice(0, -1));
    assert.ok(Math.abs(parameters / 1e6 - Number.parseFloat(printed[1])) < 0.01);
  });
  // A CIFAR ResNet's published shape cuts a residual stream between two stages, which no removal of channels does.
  if (/^resnet(56|110)$/.test(arch)) continue;
  test(`${name}: pruning at the published rates gives that shape`, async () => {
    const { sparsity, rounding, left } = publishedShares(name);
    assert.equal(left, []);
    const options = { method: "magnitude", granularity: "filter", sparsity, rounding } as const;
    exact((await prune(buildNet(arch, { init: "zeros" }), options)).graph);
  });
}

test("GoogLeNet's trap: 1 - 0.9 and 1 - 0.8 are a hair too small", () => {
  assert.equal([keptFilters(320, 0.9), keptFilters(320, 0.8)], [31, 63]);
  assert.is(publishedWidths("hrankplus-googlenet-395.42M").get("e4.b2.3"), 31);
  assert.is(publishedWidths("hrankplus-googlenet-649.19M").get("a5.b2.3"), 63);
});

test("unknown names and shapes that no net has are refused", async () => {
  const wrong = /there are no published rates "nobody-x".*hrankplus-vgg16-131.17M/;
  await fails(() => findPublished("nobody-x"), "E_INPUT", wrong);
  await fails(() => publishedWidths("hrank-resnet56-62.72M"), "E_INPUT", /residual stream/);
  assert.is(publishedShares("hrankplus-resnet56-90.35M").left.length, 18);
});

test.run();
