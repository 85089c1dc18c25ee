import { suite } from "uvu";
import * as assert from "uvu/assert";
import { glyphs } from "../../src/data/glyphs.ts";
import { collectEvidence } from "../../src/evidence/collect.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { inspectGraph } from "../../src/graph/statistics.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { compact } from "../../src/prune/compact.ts";
import { structuredMethods } from "../../src/prune/methods/structured.ts";
import { type PruneOptions, prune } from "../../src/prune/prune.ts";
import { replay } from "../../src/prune/replay.ts";
import { compile } from "../../src/run/compile.ts";
import { type Evaluation, evaluate } from "../../src/run/evaluate.ts";
import { preprocessingOf } from "../../src/run/preprocessing.ts";
import { recalibrate } from "../../src/train/recalibrate.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("structured methods on the built-in net");
const net = buildNet("glyphnet");
const calibration = glyphs("train", 64, 3);
const judge = glyphs("test", 100, 1);

async function measured(gpu: Gpu, graph: Graph): Promise<Evaluation> {
  const session = await compile(gpu, graph, { plan: "estimated", batch: 100 });
  try {
    return await evaluate(session, judge, preprocessingOf(graph, judge), { batch: 100 });
  } finally {
    session.dispose();
  }
}

for (const method of structuredMethods) {
  gpuTest(test, `${method.name}: evidence, pruning, compaction, evaluation`, async (gpu) => {
    const evidence = await collectEvidence(gpu, net, calibration, method.name, {
      images: 64,
      sparsity: 0.3,
      // Generations: every one evaluates a dozen nets.
      ...(method.name === "particle" && { images: 16, rounds: 1 }),
    });
    const options: PruneOptions = { method: method.name, sparsity: 0.3, scope: "layer", evidence };
    const { graph, record } = await prune(net, options);
    const before = inspectGraph(net);
    const after = inspectGraph(graph);
    // Every layer keeps trunc(0.7 n) filters, and reads as much less.
    assert.ok(after.macs < 0.6 * before.macs, `${after.macs} of ${before.macs} multiply-adds are left`);
    const compacted = await compact(graph);
    assert.is(compacted.report.removed, 0, "filters were left behind");
    assert.equal((await replay(record, net, evidence)).weights, graph.weights);
    const again = await prune(net, options);
    assert.equal(again.graph.weights, graph.weights, "the same call, other weights");
    const accuracy = await measured(gpu, await recalibrate(gpu, graph, calibration, { batch: 32 }));
    // A tenth is chance. Nothing was retrained, so which method is good on a net this small is not the question here.
    assert.ok(accuracy.loss < 5 && accuracy.top1 > 0.2, `top-1 ${accuracy.top1}, loss ${accuracy.loss}`);
  });
}

test.run();
