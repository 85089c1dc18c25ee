import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { preprocess } from "../../src/data/dataset.ts";
import { openData } from "../../src/data/files.ts";
import { parseCifar10 } from "../../src/data/formats.ts";
import { glyphs } from "../../src/data/glyphs.ts";
import { inspectGraph } from "../../src/graph/statistics.ts";
import { openModel } from "../../src/io/files.ts";
import { modelFromBytes, modelToBytes } from "../../src/io/model.ts";
import { readSafetensors } from "../../src/io/safetensors.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { preprocessingFor } from "../../src/nets/preprocessing.ts";
import { compact } from "../../src/prune/compact.ts";
import { compile } from "../../src/run/compile.ts";
import { evaluate } from "../../src/run/evaluate.ts";
import { gpuTest } from "../support/gpu.ts";
import { skip } from "../support/skip.ts";

const trained = suite("trained nets");
const shared = fileURLToPath(new URL("../../../shared", import.meta.url));
const has = existsSync(`${shared}/models/resnet20-cifar10.safetensors`);

const tensors = (name: string) =>
  readSafetensors(readFileSync(`${shared}/models/${name}.safetensors`)).tensors;

/** Top-1 on the first 200 lossless test images of CIFAR-10, and how far the logits are from the published ones. */
const published = { resnet20: 32, resnet32: 32, resnet44: 32, resnet56: 32 } as const;

for (const [arch, images] of Object.entries(published)) {
  const name = `${arch} gives its published logits, also after a round trip through ONNX`;
  if (!has) {
    trained(name, () => skip(name, "../shared/models is absent"));
    continue;
  }
  gpuTest(trained, name, async (gpu) => {
    const file = `${shared}/datasets/cifar10/lossless-test-0000-0999.bin.gz`;
    const data = parseCifar10([{ bytes: gunzipSync(readFileSync(file)), file }]);
    const image = preprocess(data, 0, images, preprocessingFor(arch, "cifar10"));
    const graph = buildNet(arch, { weights: tensors(`${arch}-cifar10`) });
    const again = modelFromBytes(modelToBytes(graph, "onnx"), { name: "again.onnx" });
    const expected = tensors(`${arch}-cifar10.logits-test1000`).get("logits")!.data as Float32Array;
    const runs = [];
    for (const g of [graph, again]) {
      const session = await compile(gpu, g, { batch: images });
      runs.push((await session.run({ image }))["logits"]!.data as Float32Array);
      session.dispose();
    }
    for (const [i, v] of runs[0]!.entries()) {
      assert.ok(Math.abs(v - expected[i]!) <= 1e-3, `logit ${i}: ${v} for ${expected[i]}`);
      assert.ok(Math.abs(v - runs[1]![i]!) <= 1e-4, `logit ${i} after ONNX: ${runs[1]![i]} for ${v}`);
    }
  });
}

/** Dynamic Network Surgery (Guo et al. 2016, arXiv 1608.04493, table 1): 0.91 % and 1.99 % error, 108 and 53 times fewer weights. */
const surgery = { lenet5: [9909, 21_992], lenet300: [9801, 30_030] } as const;

for (const [arch, [correct, left]] of Object.entries(surgery)) {
  const name = `${arch} after surgery knows ${correct} of 10,000 digits, dense, sparse and compacted`;
  const spec = `${arch}:${shared}/models/dns-${arch}-mnist.safetensors`;
  if (!has) {
    trained(name, () => skip(name, "../shared/models is absent"));
    continue;
  }
  gpuTest(trained, name, async (gpu) => {
    const graph = await openModel(spec);
    const data = await openData(`mnist:${shared}/datasets/mnist`, "test");
    const { graph: small } = await compact(graph);
    assert.is(inspectGraph(small).parameters, left);
    for (const [g, plan] of [
      [graph, "dense"],
      [graph, "csr"],
      [small, "dense"],
    ] as const) {
      const session = await compile(gpu, g, { batch: 500, plan, compact: false });
      const { top1, images } = await evaluate(session, data, preprocessingFor(arch, "mnist"), { batch: 500 });
      session.dispose();
      assert.is(Math.round(top1 * images), correct, plan);
    }
  });
}

gpuTest(trained, "glyphnet's own weights know at least 97 % of unseen glyphs", async (gpu) => {
  const session = await compile(gpu, buildNet("glyphnet"), { batch: 50 });
  const { top1 } = await evaluate(session, glyphs("test", 1000, 1), preprocessingFor("glyphnet", "glyphs"), {
    batch: 50,
  });
  session.dispose();
  assert.ok(top1 >= 0.97, `top-1 is ${top1}`);
});

trained.run();
