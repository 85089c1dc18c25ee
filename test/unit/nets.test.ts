import { createHash } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Graph } from "../../src/graph/graph.ts";
import { arches } from "../../src/nets/arches.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { preprocessingFor } from "../../src/nets/preprocessing.ts";
import { bytesOf, type HostTensor } from "../../src/tensor/host-tensor.ts";
import { parameters, survey } from "../support/survey.ts";

const test = suite("nets");

// Plain MACs, W, W + b, W + b + BN. VGG-16, ResNet-56, -110 and -50, DenseNet-40, GoogLeNet: as published counts have them; the LeNets: Caffe's nets;
// glyphnet: by hand; the others: PyTorch's parameter counts.
const published: Readonly<Record<string, readonly [number, readonly number[]]>> = {
  lenet300: [266_200, [266_200, 266_610, 266_610]],
  lenet5: [2_293_000, [430_500, 431_080, 431_080]],
  vgg16: [313_463_808, [14_977_728, 14_982_474, 14_991_946]],
  resnet20: [40_551_040, [268_336, 268_346, 269_722]],
  resnet56: [125_485_696, [848_944, 848_954, 853_018]],
  resnet110: [252_887_680, [1_719_856, 1_719_866, 1_727_962]],
  densenet40: [282_917_328, [1_040_568, 1_040_578, 1_059_298]],
  googlenet: [1_521_756_160, [6_142_528, 6_150_442, 6_166_250]],
  resnet18: [1_814_073_344, [11_678_912, 11_679_912, 11_689_512]],
  resnet50: [4_089_184_256, [25_502_912, 25_503_912, 25_557_032]],
  mobilenetv1: [568_740_352, [4_209_088, 4_210_088, 4_231_976]],
  mobilenetv2: [300_774_272, [3_469_760, 3_470_760, 3_504_872]],
  glyphnet: [12_757_888, [162_064, 162_074, 162_874]],
};
for (const [name, [macs, counts]] of Object.entries(published)) {
  test(`${name} has its published MACs and parameters`, () => {
    const graph = buildNet(name, { init: "zeros" });
    assert.is(survey(graph).macs, macs);
    assert.equal(parameters(graph), counts);
  });
}

for (const arch of arches) {
  test(`${arch.name} maps an image to logits`, () => {
    const graph = buildNet(arch.name, { init: "zeros" });
    assert.equal(graph.inputs, [{ name: "image", dtype: "f32", shape: [null, ...arch.input] }]);
    assert.equal(graph.outputs, [{ name: "logits", dtype: "f32", shape: [null, arch.classes] }]);
    assert.equal(survey(graph).types.get("logits")!.shape, [1, arch.classes]);
    assert.is(new Set(graph.nodes.map((n) => n.name)).size, graph.nodes.length);
    const p = preprocessingFor(arch.name);
    assert.is(p.mean.length, arch.input[0]);
    assert.is(p.std.length, arch.input[0]);
  });
}

const named = (graph: Graph): ReadonlyMap<string, HostTensor> =>
  new Map([...graph.weights].filter(([, w]) => w.dtype === "f32" && w.shape.length > 0));
const digest = (graph: Graph): string => {
  const hash = createHash("sha256");
  for (const [name, w] of graph.weights) hash.update(name).update(bytesOf(w));
  return hash.digest("hex");
};

test("the same seed gives the same bytes, another seed others", () => {
  assert.is(digest(buildNet("glyphnet", { seed: 7 })), digest(buildNet("glyphnet", { seed: 7 })));
  assert.is.not(digest(buildNet("glyphnet", { seed: 7 })), digest(buildNet("glyphnet", { seed: 8 })));
});

test("initial weights are He-normal, BatchNormalization starts as identity", () => {
  const graph = buildNet("resnet20", { seed: 1 });
  const w = graph.weights.get("layer3.1.conv1.weight")!.data as Float32Array;
  const mean = w.reduce((a, b) => a + b, 0) / w.length;
  const deviation = Math.sqrt(w.reduce((a, b) => a + (b - mean) ** 2, 0) / w.length);
  const wanted = Math.sqrt(2 / (64 * 9));
  assert.ok(Math.abs(deviation / wanted - 1) < 0.02 && Math.abs(mean) < 0.02 * wanted);
  const part = (name: string): Set<number> => new Set(graph.weights.get(`bn1.${name}`)!.data as Float32Array);
  assert.equal(
    ["weight", "bias", "running_mean", "running_var"].map((p) => [...part(p)]),
    [[1], [0], [0], [1]],
  );
});

test("tensor names are those of the trained files", () => {
  const names = (arch: string): readonly string[] => [...named(buildNet(arch, { init: "zeros" })).keys()];
  const resnet = names("resnet20");
  assert.is(resnet.length, 97);
  for (const n of [
    "conv1.weight",
    "bn1.running_var",
    "layer3.0.conv1.weight",
    "layer2.2.bn2.bias",
    "linear.bias",
  ]) {
    assert.ok(resnet.includes(n), n);
  }
  assert.equal(names("lenet300"), [
    "ip1.weight",
    "ip1.bias",
    "ip2.weight",
    "ip2.bias",
    "ip3.weight",
    "ip3.bias",
  ]);
  const expected: Readonly<Record<string, readonly string[]>> = {
    lenet5: ["conv1.weight", "conv2.bias", "ip1.weight", "ip2.bias"],
    vgg16: [
      "features.0.weight",
      "features.1.running_mean",
      "features.40.bias",
      "classifier.0.weight",
      "classifier.3.bias",
    ],
    resnet18: [
      "layer2.0.downsample.0.weight",
      "layer2.0.downsample.1.running_var",
      "layer4.1.conv2.weight",
      "fc.bias",
    ],
    resnet50: ["layer1.0.downsample.1.bias", "layer1.2.conv3.weight", "layer4.2.bn3.weight", "fc.weight"],
    densenet40: [
      "conv1.weight",
      "dense1.0.bn1.running_mean",
      "dense3.11.conv1.weight",
      "trans2.bn1.weight",
      "trans1.conv1.weight",
      "bn.running_var",
      "fc.bias",
    ],
    googlenet: [
      "pre_layers.0.bias",
      "pre_layers.1.running_var",
      "a3.b1.0.weight",
      "c4.b2.3.weight",
      "b5.b3.6.bias",
      "e4.b3.7.weight",
      "a5.b4.1.weight",
      "b3.b4.2.running_mean",
      "linear.weight",
    ],
    mobilenetv1: ["model.0.0.weight", "model.1.0.weight", "model.13.4.running_var", "fc.weight"],
    mobilenetv2: [
      "features.0.0.weight",
      "features.1.conv.0.0.weight",
      "features.1.conv.1.weight",
      "features.17.conv.3.bias",
      "features.2.conv.1.0.weight",
      "features.18.1.weight",
      "classifier.1.bias",
    ],
  };
  for (const [arch, list] of Object.entries(expected)) {
    const all = new Set(names(arch));
    for (const n of list) assert.ok(all.has(n), `${arch}: ${n}`);
  }
});

test("LeNet-5 has no activation after its convolutions", () => {
  assert.equal(
    buildNet("lenet5").nodes.map((n) => n.op),
    ["Conv", "MaxPool", "Conv", "MaxPool", "Flatten", "Gemm", "Relu", "Gemm"],
  );
});

test("preprocessing follows the net and the data", () => {
  assert.equal(preprocessingFor("lenet5", "mnist"), { scale: 1 / 256, mean: [0], std: [1] });
  assert.equal(preprocessingFor("glyphnet", "glyphs"), { scale: 1 / 256, mean: [0], std: [1] });
  for (const arch of ["resnet20", "vgg16"]) {
    assert.equal(preprocessingFor(arch, "cifar10"), {
      scale: 1 / 255,
      mean: [0.485, 0.456, 0.406],
      std: [0.229, 0.224, 0.225],
    });
  }
});

test.run();
