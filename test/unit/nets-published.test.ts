import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildNet } from "../../src/nets/build-net.ts";
import { publishedWidths } from "../../src/prune/published.ts";
import { parameters, survey } from "../support/survey.ts";

// Nets that HRankPlus (lmbxmu/HRankPlus) and CHIP (Eclipsess/CHIP_NeurIPS2021) published as really smaller: kept widths of the
// convolutions in order, then plain MACs, W, W + b, W + b + BN, all computed from those publications' rates. The same rates must
// give the same widths here.
const times = (n: number, ...widths: readonly number[]): number[] =>
  Array.from({ length: n }, () => widths).flat();

type Row = readonly [string, string, readonly number[], number, readonly number[]];
const rows: readonly Row[] = [
  [
    "vgg16",
    "131.17M",
    [...times(2, 50), ...times(2, 101), ...times(3, 202), ...times(5, 128), 512],
    130566528,
    [2758815, 2761397, 2766541],
  ],
  [
    "vgg16",
    "104.78M",
    [...times(2, 44), ...times(2, 89), ...times(3, 179), ...times(5, 128), 512],
    104242752,
    [2498382, 2500859, 2505793],
  ],
  [
    "vgg16",
    "66.95M",
    [...times(2, 35), ...times(2, 70), ...times(3, 140), ...times(5, 112), 512],
    66521088,
    [1895184, 1897408, 1901836],
  ],
  [
    "resnet56",
    "90.35M",
    [16, ...times(18, 13), ...times(18, 26), ...times(9, 52, 64)],
    89460352,
    [656623, 656633, 660157],
  ],
  [
    "resnet56",
    "65.94M",
    [16, ...times(9, 9, 13), ...times(9, 19, 27), ...times(9, 38, 64)],
    65168128,
    [482311, 482321, 485413],
  ],
  [
    "resnet56",
    "34.78M",
    [16, ...times(9, 8, 9), ...times(9, 12, 19), ...times(9, 19, 64)],
    34197184,
    [238393, 238403, 240793],
  ],
  [
    "resnet110",
    "140.54M",
    [16, ...times(18, 11, 12), ...times(18, 20, 25), ...times(18, 41, 64)],
    139006144,
    [1039681, 1039691, 1045951],
  ],
  [
    "resnet110",
    "101.97M",
    [16, ...times(18, 9, 12), ...times(18, 14, 24), ...times(18, 28, 64)],
    100602496,
    [714268, 714278, 719746],
  ],
  [
    "resnet110",
    "71.69M",
    [16, ...times(18, 8, 9), ...times(18, 11, 19), ...times(18, 22, 64)],
    70554880,
    [538912, 538922, 543742],
  ],
  [
    "densenet40",
    "173.39M",
    [24, ...times(12, 9), 132, ...times(12, 9), 240, ...times(12, 9)],
    169583640,
    [608406, 608416, 622924],
  ],
  [
    "densenet40",
    "133.17M",
    [24, ...times(12, 8), 108, ...times(12, 8), 183, ...times(12, 8)],
    129828582,
    [439938, 439948, 451882],
  ],
  [
    "densenet40",
    "113.08M",
    [24, ...times(12, 7), 108, ...times(12, 7), 192, ...times(12, 7)],
    109936968,
    [384198, 384208, 395908],
  ],
  [
    "googlenet",
    "649.19M",
    [
      ...[192, 64, 96, 51, 16, 12, 12, 32, 128, 128, 76, 32, 38, 38, 64, 192, 96, 62, 16, 14, 14, 64, 160],
      ...[112, 67, 24, 19, 19, 64, 128, 128, 76, 24, 19, 19, 64, 112, 144, 86, 32, 19, 19, 64, 256, 160, 96],
      ...[32, 38, 38, 128, 256, 160, 63, 32, 25, 25, 128, 384, 192, 384, 48, 25, 128, 128],
    ],
    643804480,
    [2841064, 2846636, 2857760],
  ],
  [
    "googlenet",
    "395.42M",
    [
      ...[192, 64, 96, 19, 16, 4, 4, 32, 128, 128, 28, 32, 14, 14, 64, 192, 96, 20, 16, 4, 4, 64, 160],
      ...[112, 22, 24, 6, 6, 64, 128, 128, 25, 24, 6, 6, 64, 112, 144, 28, 32, 6, 6, 64, 256, 160, 31],
      ...[32, 12, 12, 128, 256, 160, 31, 32, 12, 12, 128, 384, 192, 384, 48, 12, 128, 128],
    ],
    390804480,
    [2084448, 2089394, 2099266],
  ],
  [
    "resnet50",
    "2.26B",
    bottlenecks([41, 83, 166, 332], [230, 460, 921, 2048]),
    2240373880,
    [15044941, 15045941, 15091575],
  ],
  [
    "resnet50",
    "1.52B",
    bottlenecks([32, 64, 128, 256], [192, 384, 768, 2048]),
    1507328000,
    [11006144, 11007144, 11047336],
  ],
  [
    "resnet50",
    "0.95B",
    bottlenecks([25, 51, 102, 204], [128, 256, 512, 2048]),
    943231376,
    [7983479, 7984479, 8017755],
  ],
];

/** ResNet-50's widths; the shortcut's convolution follows its block's three. */
function bottlenecks(inner: readonly number[], outer: readonly number[]): number[] {
  const blocks = [3, 4, 6, 3];
  return [
    64,
    ...blocks.flatMap((n, s) => [
      inner[s]!,
      inner[s]!,
      outer[s]!,
      outer[s]!,
      ...times(n - 1, inner[s]!, inner[s]!, outer[s]!),
    ]),
  ];
}

const test = suite("nets-published");
for (const [arch, label, widths, macs, counts] of rows) {
  test(`${arch} ${label}`, () => {
    const convs = buildNet(arch, { init: "zeros" }).nodes.filter((n) => n.op === "Conv");
    assert.is(convs.length, widths.length);
    const published = publishedWidths(`hrankplus-${arch}-${label}`);
    assert.equal(
      convs.map((n) => published.get(n.name)),
      widths,
    );
    const graph = buildNet(arch, {
      init: "zeros",
      widths: new Map(convs.map((n, i) => [n.name, widths[i]!])),
    });
    assert.is(survey(graph).macs, macs);
    assert.equal(parameters(graph), counts);
  });
}
test.run();
