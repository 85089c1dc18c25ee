// Prunes a small net to a target of milliseconds and of points lost, on the adapter at hand. It holds a clock, so it is no part of
// npm test: a busy machine may fail it. Run it alone: node --import tsx bench/checks/target.ts
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { glyphs } from "../../src/data/glyphs.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { spread } from "../../src/plan/stats.ts";
import { graphHash } from "../../src/prune/hash.ts";
import { replay } from "../../src/prune/replay.ts";
import { parsePruningManifest, pruningManifest, repeatPruning } from "../../src/recipes/manifest.ts";
import { requirements } from "../../src/recipes/run.ts";
import { pruneToTarget, type TargetOptions, type TargetResult } from "../../src/recipes/target.ts";
import { compile } from "../../src/run/compile.ts";
import { timeInTurn } from "../../src/run/timing.ts";
import { train } from "../../src/train/train.ts";
import { fails } from "../../test/support/error.ts";
import { gpuTest } from "../../test/support/gpu.ts";

const test = suite("pruning to a target");
const data = glyphs("train", 400, 1);
/** Few layers, since every one is timed; trained in the first test. */
let net = buildNet("lenet5", { seed: 1 });
const batch = 4;
const request = { method: "magnitude", granularity: "filter" };

/** Later tests go on with the scan and the latencies of the first. */
let first: TargetResult | undefined;

const aim = (gpu: Gpu, options: Partial<TargetOptions>): Promise<TargetResult> =>
  pruneToTarget(gpu, net, data, {
    request,
    batch,
    scan: { shares: [0.5, 0.75], images: 60, ...(first && { resume: first.scan }) },
    ...options,
  });

gpuTest(test, "the compiled net meets its milliseconds, and its shares replay without a GPU", async (gpu) => {
  net = (await train(gpu, net, data, { epochs: 3, batch: 20, validation: 0 })).graph;
  const dense = await compile(gpu, net, { plan: "measured", batch });
  const whole = spread((await timeInTurn([dense], 7))[0]!).median;
  dense.dispose();
  const targetMs = 0.6 * whole;
  first = await aim(gpu, { targetMs });
  const { report, outcome, request: found } = first;
  assert.ok(report.measured.median <= targetMs, `${report.measured.median} of ${targetMs}`);
  assert.ok(report.attempts.length >= 1 && report.attempts.length <= 6);
  assert.is(report.top1.before, first.scan.dense.top1);
  assert.ok(Object.keys(report.shares).length > 0);
  assert.equal(found.sparsity, report.shares);
  const step = outcome.record.steps.at(-1);
  assert.ok(step?.kind === "prune");
  for (const { units, removed } of step.kind === "prune" ? step.layers : [])
    assert.ok(removed === 0 || (units - removed) % 4 === 0, `${units - removed} filters are left`);
  assert.is(await graphHash(await replay(outcome.record, net)), await graphHash(outcome.graph));
  assert.equal(requirements(found), { gpu: false, data: false });
  const manifest = await pruningManifest(undefined, net, undefined, found, outcome);
  const again = await repeatPruning(
    undefined,
    net,
    undefined,
    parsePruningManifest(JSON.stringify({ ...manifest, target: report })),
  );
  assert.is(await graphHash(again.graph), manifest.result);
});

gpuTest(test, "no more is lost than may be, and a greater loss is not slower", async (gpu) => {
  const careful = await aim(gpu, { maxDrop: 0.1 });
  assert.ok(careful.report.top1.before - careful.report.top1.after <= 0.1 + 1e-9);
  const careless = await aim(gpu, { maxDrop: 0.9 });
  const removed = ({ report }: TargetResult): number =>
    Object.values(report.shares).reduce((sum, share) => sum + share, 0);
  assert.ok(removed(careless) >= removed(careful), `${removed(careless)} and ${removed(careful)}`);
  await fails(
    () => aim(gpu, { targetMs: first!.report.targetMs!, maxDrop: 0 }),
    "E_PRUNE",
    /loses .* points/,
  );
});

test.run();
