import { geometricMean } from "../src/plan/stats.ts";
import { markdownTable } from "../src/report/table.ts";
import type { DlmcResult } from "./kernels/dlmc.ts";
import type { BySparsity, KernelRow, KernelsResult } from "./kernels/result.ts";
import { type Granularity, label, type ModelRow, type ModelsResult } from "./models/models.ts";
import type { PeersResult } from "./peers/result.ts";

/** What the kernels were to reach on lavapipe, beside what the result files say. */
export function targetsTable(result: (name: string) => unknown): string {
  const kernels = result("kernels") as KernelsResult;
  const { summary: peers } = result("peers") as PeersResult;
  const { clustered } = (result("dlmc") as DlmcResult).summary;
  const { models } = (result("models") as ModelsResult).summary;
  const { csr, csrVsBest, element, elementVsBest, block8x1, filters } = kernels.summary;
  const net = (name: string, granularity: Granularity): number | undefined =>
    models[name]?.["0.9"]?.[granularity];
  const rows: readonly (readonly [string, string, readonly (number | null | undefined)[]])[] = [
    [
      "dense over the best peer: products / convolutions",
      "2.2 / 2.2",
      [peers.denseVsBestPeer.matmul, peers.denseVsBestPeer.conv],
    ],
    [
      "CSR over direct dense, batch 8: 80 / 90 / 95 %",
      "1.1 / 2.2 / 4.2",
      at(csr.batch8, "0.8", "0.9", "0.95"),
    ],
    ["CSR over the fastest dense, batch 8: 90 / 95 %", "1.2 / 2.2", at(csrVsBest.batch8, "0.9", "0.95")],
    [
      "any unstructured mask, in CSR or sliced ELL, over direct dense, batch 8: 80 / 90 / 95 %",
      "1.1 / 2.2 / 4.2",
      at(element.batch8, "0.8", "0.9", "0.95"),
    ],
    [
      "the same over the fastest dense, batch 8: 90 / 95 %",
      "1.2 / 2.2",
      at(elementVsBest.batch8, "0.9", "0.95"),
    ],
    [
      "8x1 over direct dense, batch 8: 50 / 75 / 90 / 95 %",
      "1.7 / 3.4 / 8 / 13",
      at(block8x1.batch8, "0.5", "0.75", "0.9", "0.95"),
    ],
    ["the same, batch 1", "1.5 / 2.6 / 6 / 9", at(block8x1.batch1, "0.5", "0.75", "0.9", "0.95")],
    [
      "8x1 over the fastest dense, 3x3, batch 8: 75 / 90 %",
      "1.8 / 3.7",
      [0.75, 0.9].map((s) => convolutions(kernels.rows, s)),
    ],
    [
      "clustered rows over the better of CSR and dense, real masks (there are none of 70 %): 80 / 90 %",
      "measured (aim 1.2 / 1.1)",
      at(clustered, "0.8", "0.9"),
    ],
    [
      "ResNet-56, batch 32, 90 %: 8x1 / element",
      "4 / 1.5",
      [net("resnet56", "block8x1"), net("resnet56", "element")],
    ],
    [
      "batch 8, 90 % element: ResNet-50 / MobileNetV1",
      "1.3 / 1.2",
      [net("resnet50", "element"), net("mobilenetv1", "element")],
    ],
    [
      "half of the filters on both sides, layer by layer: batch 1 / 8",
      "3.2 / 3.2",
      [filters.batch1["0.5"], filters.batch8["0.5"]],
    ],
    ...besidesOthers((result("plans") as ModelsResult).rows).map(
      ([net, ratio]) =>
        [
          `the measured plan over the best of all others, dense among them: ${net}`,
          "1 within its spread",
          [ratio],
        ] as const,
    ),
  ];
  return markdownTable(
    ["", "to reach", "reached"],
    rows.map(([what, target, reached]) => [
      what,
      target,
      reached.map((r) => r?.toFixed(2) ?? "not measured").join(" / "),
    ]),
  );
}

/** Per pruned net the best time of any other plan, and of the dense net, over that of the measured one. */
function besidesOthers(rows: readonly ModelRow[]): (readonly [string, number])[] {
  return rows
    .filter((r) => r.granularity !== "dense" && !r.plan)
    .flatMap((own) => {
      const others = rows.filter(
        (r) =>
          r.model === own.model &&
          (r.granularity === "dense" ||
            (r.plan && r.granularity === own.granularity && r.sparsity === own.sparsity)),
      );
      const best = Math.min(...others.map((r) => r.ms.median));
      return others.length === 0 ? [] : [[`${own.model}, ${label(own)}`, best / own.ms.median] as const];
    });
}

const at = (means: BySparsity, ...sparsities: readonly string[]): (number | undefined)[] =>
  sparsities.map((s) => means[s]);

function convolutions(rows: readonly KernelRow[], sparsity: number): number {
  const own = rows.filter(
    (r) => r.op === "conv" && r.batch === 8 && r.kind === "block8x1" && r.sparsity === sparsity,
  );
  return geometricMean(own.map((r) => r.vsBest.median));
}
