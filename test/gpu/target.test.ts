import { suite } from "uvu";
import * as assert from "uvu/assert";
import { glyphs } from "../../src/data/glyphs.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { atRest, pruneToTarget, type TargetOptions, type TargetResult } from "../../src/recipes/target.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("pruning to a target");
const data = glyphs("train", 400, 1);
/** Few layers, since every one is timed. What meets a target is shown by bench/checks/target.ts, which holds a clock. */
const net = buildNet("lenet5", { seed: 1 });
const batch = 4;
const request = { method: "magnitude", granularity: "filter" };

const aim = (gpu: Gpu, options: Partial<TargetOptions>): Promise<TargetResult> =>
  pruneToTarget(gpu, net, data, {
    request,
    batch,
    scan: { shares: [0.5, 0.75], images: 60 },
    ...options,
  });

test("a slower machine is not the net's doing: what it took at the pace of the first timing", () => {
  const s = (median: number) => ({ median, p10: median, p90: median, samples: 1 });
  assert.is(atRest({ measured: s(130), dense: s(200) }, s(160)), 104);
  // A faster one proves nothing.
  assert.is(atRest({ measured: s(90), dense: s(150) }, s(160)), 90);
});

gpuTest(
  test,
  "a target out of reach names the fastest there is, one in reach already is refused",
  async (gpu) => {
    await fails(
      () => aim(gpu, { targetMs: 1e-4 }),
      "E_PRUNE",
      /0.0001 ms cannot be met: with every layer at its fastest share the net takes \d+\.\d+ ms/,
    );
    await fails(() => aim(gpu, { targetMs: 1e6 }), "E_PRUNE", /within 1000000 ms already/);
  },
);

gpuTest(test, "what contradicts a target is refused", async (gpu) => {
  await fails(() => aim(gpu, {}), "E_INPUT", /nothing to aim at/);
  await fails(() => aim(gpu, { targetMs: -1 }), "E_INPUT", /-1/);
  await fails(() => aim(gpu, { maxDrop: 1 }), "E_INPUT", /fraction/);
  await fails(
    () => aim(gpu, { targetMs: 1, request: { ...request, scope: "global" } }),
    "E_INPUT",
    /scope and allocation/,
  );
});

test.run();
