import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildNet } from "../../src/nets/build-net.ts";
import { preprocessingFor } from "../../src/nets/preprocessing.ts";
import { viewBytes } from "../../src/tensor/dtype.ts";
import { getNumber, type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { runGraph } from "../support/run-graph.ts";
import { skip } from "../support/skip.ts";

// Nets that others trained, on real images, against outputs that others (or a NumPy reference) computed.
const shared = join(import.meta.dirname, "../../../shared");
const test = suite("nets-trained");

/** Plain reading of a well-formed f32 file: header length, JSON, bytes. */
function readWeights(file: string): Map<string, HostTensor> {
  const bytes = readFileSync(join(shared, "models", file));
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const entries = Object.entries(header).filter(([name, t]) => name !== "__metadata__" && t.dtype === "F32");
  return new Map(
    entries.map(([name, { shape, data_offsets }]) => {
      const count = (data_offsets[1] - data_offsets[0]) / 4;
      return [
        name,
        { dtype: "f32", shape, data: viewBytes("f32", bytes, 8 + length + data_offsets[0], count) },
      ];
    }),
  );
}

/** Bytes [C, H, W] as the net's input. */
function image(pixels: Uint8Array, arch: string, dataset: string, shape: readonly number[]): HostTensor {
  const { scale, mean, std } = preprocessingFor(arch, dataset);
  const plane = shape[1]! * shape[2]!;
  const data = Float64Array.from(
    pixels,
    (v, i) => (v * scale - mean[Math.floor(i / plane)]!) / std[Math.floor(i / plane)]!,
  );
  return tensor(data, [1, ...shape]);
}

const available = existsSync(shared);
const whenAvailable = (name: string, run: () => void): void =>
  test(name, () => (available ? run() : skip(`nets-trained: ${name}`, `${shared} is absent`)));

// Float64 logits of the first test image.
const lenets: Readonly<Record<string, readonly number[]>> = {
  lenet5: [-4.99776, 2.20952, -0.50851, 6.32564, -1.7447, -1.70322, -9.7798, 17.05243, -2.85783, 3.58897],
  lenet300: [-0.24138, -0.65785, 3.44396, 4.9578, -2.74649, 0.39394, -8.3673, 12.05635, 1.70248, 2.17572],
};
for (const [arch, logits] of Object.entries(lenets)) {
  whenAvailable(`${arch}, really pruned, gives the logits of its first image`, () => {
    const images = gunzipSync(readFileSync(join(shared, "datasets/mnist/t10k-images-idx3-ubyte.gz")));
    const graph = buildNet(arch, { weights: readWeights(`dns-${arch}-mnist.safetensors`) });
    const out = runGraph(graph, image(images.subarray(16, 16 + 784), arch, "mnist", [1, 28, 28]));
    for (const [i, want] of logits.entries())
      assert.ok(Math.abs(getNumber(out.data, i) - want) <= 5.1e-6, `${i}`);
  });
}

for (const arch of ["resnet20", "resnet32", "resnet44", "resnet56"]) {
  whenAvailable(`${arch} gives the reference logits of two images`, () => {
    const data = gunzipSync(readFileSync(join(shared, "datasets/cifar10/lossless-test-0000-0999.bin.gz")));
    const logits = readWeights(`${arch}-cifar10.logits-test1000.safetensors`).get("logits")!;
    const graph = buildNet(arch, { weights: readWeights(`${arch}-cifar10.safetensors`) });
    for (const n of [0, 999]) {
      const pixels = data.subarray(n * 3073 + 1, (n + 1) * 3073);
      const out = runGraph(graph, image(pixels, arch, "cifar10", [3, 32, 32]));
      for (let i = 0; i < 10; i++) {
        // The reference ran in f32, whose rounding over some 20 to 56 layers is a few 1e-6 of logits around 10.
        const want = getNumber(logits.data, n * 10 + i);
        assert.ok(Math.abs(getNumber(out.data, i) - want) <= 5e-5, `image ${n}, class ${i}`);
      }
    }
  });
}

test.run();
