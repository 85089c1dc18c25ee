import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Graph, withWeights } from "../../src/graph/graph.ts";
import { inspectGraph } from "../../src/graph/statistics.ts";
import { prune } from "../../src/prune/prune.ts";
import { findPublished, publishedShares, ratesByLayer } from "../../src/prune/published.ts";
import { countBy } from "../../src/report/counts.ts";
import { ones, total } from "../support/published.ts";

const test = suite("filters-only counts");

/** HRank's masks: each convolution loses filters of its own, whatever is added to its result. */
function masked(graph: Graph, rates: ReadonlyMap<string, number>): Graph {
  const changed = new Map(
    [...rates].map(([layer, rate]) => {
      const w = graph.weights.get(`${layer}.weight`)!;
      const rows = w.shape[0]!;
      const data = (w.data as Float32Array).slice();
      data.fill(0, 0, Math.trunc(rate * rows) * (data.length / rows));
      return [`${layer}.weight`, { ...w, data }] as const;
    }),
  );
  return withWeights(graph, changed);
}

// Set B, HRank: filters-only MACs and parameters.
const filtersOnly: Readonly<Record<string, readonly [number, number]>> = {
  "resnet56-62.72M": [62_715_530, 489_359],
  "resnet110-79.30M": [79_304_330, 538_175],
  "googlenet-0.45B": [450_061_322, 1_858_262],
  "googlenet-0.69B": [686_015_498, 2_740_245],
  "resnet50-1.55B": [1_549_652_456, 13_773_764],
  "resnet50-0.98B": [981_258_728, 8_268_740],
};
for (const [row, expected] of Object.entries(filtersOnly)) {
  test(`hrank-${row}: filters-only counts`, async () => {
    const published = findPublished(`hrank-${row}`);
    const graph = ones(published.arch);
    assert.equal(total(countBy(masked(graph, ratesByLayer(published)), "filters-only")), expected);
    if (row !== "resnet50-1.55B") return;
    // Its streams lose the same share everywhere, so the filters can really go; the record still knows all inputs.
    const { sparsity, rounding } = publishedShares(published.name);
    const { graph: small } = await prune(graph, {
      method: "magnitude",
      granularity: "filter",
      sparsity,
      rounding,
    });
    assert.equal(total(countBy(small, "filters-only")), expected);
    assert.ok(inspectGraph(small).macs < expected[0]);
  });
}

test("hrank-densenet40-167.41M: filters-only counts, with transitions as its authors count them", () => {
  const published = findPublished("hrank-densenet40-167.41M");
  const rates = ratesByLayer(published);
  const counts = countBy(masked(ones("densenet40"), rates), "filters-only");
  // Unlike every other layer, a transition counts without the inputs pruned in the block before it.
  const less = (["trans1", "trans2"] as const).map((name, b) => {
    const pruned = Array.from({ length: 12 }, (_, i) =>
      Math.trunc(12 * rates.get(`dense${b + 1}.${i}.conv1`)!),
    );
    const share = pruned.reduce((x, y) => x + y, 0) / [168, 312][b]!;
    const layer = counts.layers.find((l) => l.name === `${name}.conv1`)!;
    return [layer.macs * share, layer.parameters * share];
  });
  assert.is(counts.macs - less[0]![0]! - less[1]![0]!, 167_410_906);
  assert.is(counts.parameters - less[0]![1]! - less[1]![1]!, 664_630);
});

test.run();
