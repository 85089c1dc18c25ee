import { suite } from "uvu";
import * as assert from "uvu/assert";
import { collectEvidence } from "../../src/evidence/collect.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";
import { linearCases, linearNet, plain, randomImages } from "../support/linear-case.ts";
import { residualNet } from "../support/training-nets.ts";

const test = suite("second derivatives as evidence");
const graph = linearNet();
const data = randomImages(12, [1, 2, 2], 3);

function close(got: ArrayLike<number | bigint>, want: ArrayLike<number>, tolerance: number): void {
  assert.is(got.length, want.length);
  const scale = Math.max(...Array.from(want, Math.abs));
  assert.ok(scale > 0);
  for (let i = 0; i < want.length; i++) {
    assert.ok(
      Math.abs(Number(got[i]) - want[i]!) <= tolerance * scale,
      `element ${i} is ${got[i]}, not ${want[i]}`,
    );
  }
}

/** The exact Hessian of the mean loss of a linear classifier: mean of x xᵀ times (diag(p) - p pᵀ), over T². */
function hessian(temperature = 1): Float64Array {
  const h = new Float64Array(144);
  for (const { x, p } of linearCases(graph, data, temperature)) {
    for (let i = 0; i < 12; i++) {
      for (let j = 0; j < 12; j++) {
        const [c, d] = [Math.floor(i / 4), Math.floor(j / 4)];
        const slope = (c === d ? p[c]! : 0) - p[c]! * p[d]!;
        h[i * 12 + j]! += (x[i % 4]! * x[j % 4]! * slope) / 12 / temperature ** 2;
      }
    }
  }
  return h;
}

gpuTest(test, "curvature is the diagonal of the Hessian of a linear classifier", async (gpu) => {
  const { curvature } = await collectEvidence(gpu, graph, data, "obd", { preprocessing: plain });
  const h = hessian();
  close(
    curvature!.get("w")!.data as Float64Array,
    Array.from({ length: 12 }, (_, i) => h[i * 13]!),
    1e-5,
  );
});

gpuTest(test, "outer products of the jacobian's rows add up to the whole Hessian", async (gpu) => {
  const { jacobian } = await collectEvidence(gpu, graph, data, ["jacobian"], { preprocessing: plain });
  const rows = jacobian!.get("w")!;
  assert.equal(rows.shape, [36, 12]);
  const sum = new Float64Array(144);
  for (let r = 0; r < 36; r++) {
    for (let i = 0; i < 144; i++)
      sum[i]! += Number(rows.data[r * 12 + Math.floor(i / 12)]) * Number(rows.data[r * 12 + (i % 12)]);
  }
  close(sum, hessian(), 1e-5);
});

gpuTest(
  test,
  "the diagonal of the jacobian's matrix is the curvature, through convolutions too",
  async (gpu) => {
    const net = residualNet(4);
    const images = randomImages(5);
    const found = await collectEvidence(gpu, net, images, ["jacobian", "curvature"], {
      preprocessing: plain,
    });
    for (const name of ["conv1", "conv2", "fc"]) {
      const rows = found.jacobian!.get(name)!;
      const [count, width] = rows.shape as [number, number];
      assert.is(count, 5 * 4);
      const diagonal = Array.from({ length: width }, (_, i) => {
        let sum = 0;
        for (let r = 0; r < count; r++) sum += Number(rows.data[r * width + i]) ** 2;
        return sum;
      });
      close(found.curvature!.get(name)!.data as Float64Array, diagonal, 1e-5);
    }
  },
);

gpuTest(test, "the Hessian times the gradient of a linear classifier, at temperature 200", async (gpu) => {
  const t = 200;
  const { hessianGradients } = await collectEvidence(gpu, graph, data, "grasp", { preprocessing: plain });
  const g = new Float64Array(12);
  for (const { x, p, label } of linearCases(graph, data, t)) {
    for (let i = 0; i < 12; i++) {
      const c = Math.floor(i / 4);
      g[i]! += ((p[c]! - (c === label ? 1 : 0)) * x[i % 4]!) / 12 / t;
    }
  }
  const h = hessian(t);
  const want = g.map((_, i) => g.reduce((sum, v, j) => sum + h[i * 12 + j]! * v, 0));
  close(hessianGradients!.get("w")!.data as Float64Array, want, 1e-2);
});

gpuTest(test, "a jacobian too large to hold is refused with what to do instead", async (gpu) => {
  const many = randomImages(128, [1, 28, 28], 10);
  await fails(
    () => collectEvidence(gpu, buildNet("lenet300", { seed: 1 }), many, ["jacobian"]),
    "E_PRUNE",
    /266610 weights.*obd/,
  );
});

test.run();
