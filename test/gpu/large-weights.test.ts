import { suite } from "uvu";
import * as assert from "uvu/assert";
import { placeOf } from "../../bench/kernels/shapes.ts";
import { openGpuInNode } from "../../src/gpu/dawn.ts";
import { chooseEstimated, chooseForced } from "../../src/plan/choose.ts";
import { chooseMeasured } from "../../src/plan/choose-measured.ts";
import type { ColumnsPlace } from "../../src/plan/columns-place.ts";
import type { AdapterKind } from "../../src/plan/estimate.ts";
import { openTuning } from "../../src/plan/tuning.ts";
import { adapterKind } from "../../src/run/adapter-kind.ts";
import { seeded } from "../../src/tensor/random.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("weights that no binding holds whole");

/** 32 rows of 64 channels, of which the share `density` is left. */
function layer(density: number): ColumnsPlace {
  const place = placeOf({ rows: 32, channels: 64, kernel: 1, size: 6 }, 8);
  const random = seeded(7);
  const { weight } = place.step;
  if (weight.kind !== "constant") throw new Error("a constant weight was expected");
  for (const i of weight.matrix.values.keys()) if (random.uniform() >= density) weight.matrix.values[i] = 0;
  return place;
}

/** An adapter without textures whose bindings hold half of the dense weight. */
const narrow = (kind: AdapterKind): AdapterKind => ({ ...kind, texels: false, largestBinding: 32 * 64 * 2 });

gpuTest(test, "a plan takes what fits, and says so", async () => {
  const gpu = await openGpuInNode();
  try {
    const kind = narrow(adapterKind(gpu));
    const place = layer(0.05);
    const estimated = chooseEstimated(place, kind);
    assert.is.not(estimated.variant.format, "dense");
    assert.ok(estimated.layer.candidates.length > 0);
    assert.not(estimated.layer.candidates.some((c) => c.format === "dense"));
    const tuning = await openTuning(gpu.adapter);
    const { choices, tally } = await chooseMeasured(gpu, new Map([[place.step, place]]), kind, tuning);
    const { layer: chosen } = choices.get(place.step)!;
    assert.is(tally.races, 1);
    assert.match(
      chosen.reason,
      /^fastest of \d+, no dense kernel holds its weight, rank \d+ by the cost model$/,
    );
    assert.ok(chosen.candidates.every((c) => c.format !== "dense"));
    assert.ok(
      chosen.candidates.find((c) => c.kernel === chosen.kernel && c.format === chosen.format)!.ms! > 0,
    );
  } finally {
    gpu.dispose();
  }
});

gpuTest(test, "where nothing fits, one error says what is too large and what to do", async () => {
  const gpu = await openGpuInNode();
  try {
    const kind = narrow(adapterKind(gpu));
    const place = layer(1);
    const why =
      /a weight of 32 x 64 takes 1 MiB, but one binding of this adapter holds at most 1 MiB\. Prune/;
    const tuning = await openTuning(gpu.adapter);
    await fails(() => chooseMeasured(gpu, new Map([[place.step, place]]), kind, tuning), "E_GPU", why);
    await fails(() => chooseEstimated(place, kind), "E_GPU", why);
    await fails(() => chooseForced(place, "dense", kind), "E_GPU", why);
  } finally {
    gpu.dispose();
  }
});

test.run();
