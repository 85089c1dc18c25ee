import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ErrorCode } from "../../src/errors.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import { type Graph, makeGraph } from "../../src/graph/graph.ts";
import { metadataKeys, readPreprocessing } from "../../src/graph/metadata.ts";
import { findOp } from "../../src/graph/ops/index.ts";
import { loadModel, openModel, parseModelSpec, saveModel, writeFileWhole } from "../../src/io/files.ts";
import { modelFromBytes, modelToBytes } from "../../src/io/model.ts";
import { readPruned, writePruned } from "../../src/io/pruned-file.ts";
import { readSafetensors, writeSafetensors } from "../../src/io/safetensors.ts";
import { loadModel as loadInBrowser, saveModel as saveInBrowser } from "../../src/io/web.ts";
import { buildNet } from "../../src/nets/build-net.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { refuses, refusesAsync, sameGraph, sameTensor } from "../support/files.ts";
import { skip } from "../support/skip.ts";

const test = suite("safetensors: models");
const folder = mkdtempSync(join(tmpdir(), "secateur-model-"));
test.after(() => rmSync(folder, { recursive: true, force: true }));

/** y = x + w with a mask of this share of ones. */
function pruned(size: number, kept: number, masked: boolean, name = "w", seed = 1): Graph {
  const random = seeded(seed);
  const mask = Uint8Array.from({ length: size }, () => (random.uniform() < kept ? 1 : 0));
  const data = Float32Array.from({ length: size }, (_, i) => (mask[i] ? random.normal() : 0));
  const b = graphBuilder("net");
  const x = b.input("x", [null, size]);
  b.weight(name, { dtype: "f32", shape: [1, size], data });
  b.output(b.node("Add", [x, name]), [null, size]);
  b.metadata("note", "kept");
  const graph = b.build();
  const masks: [string, HostTensor][] = masked
    ? [[name, { dtype: "bool", shape: [1, size], data: mask }]]
    : [];
  return makeGraph({ ...graph, masks: new Map(masks) });
}

test("masked graphs come back bit by bit, at any density, under any name", () => {
  const any = fc.record({
    size: fc.integer({ min: 1, max: 600 }),
    kept: fc.double({ min: 0, max: 1, noNaN: true }),
    masked: fc.boolean(),
    name: fc.oneof(
      fc.string({ minLength: 1 }).map((s) => `w${s}`),
      fc.constantFrom(
        "secateur.mask.w",
        "secateur.values.x",
        "secateur.weight.w",
        "__metadata__",
        "__proto__",
      ),
    ),
    seed: fc.nat(1000),
  });
  fc.assert(
    fc.property(any, ({ size, kept, masked, name, seed }) => {
      const graph = pruned(size, kept, masked, name, seed);
      for (const format of ["safetensors", "onnx"] as const) {
        const bytes = modelToBytes(graph, format);
        sameGraph(graph, modelFromBytes(bytes), format);
        assert.ok(
          Buffer.from(modelToBytes(modelFromBytes(bytes), format)).equals(Buffer.from(bytes)),
          "stable",
        );
      }
    }),
    { numRuns: 150, seed: 5 },
  );
});

test("a file pruned by 90 % is more than five times smaller", () => {
  const dense = writePruned(pruned(850_000, 1, false)).length;
  const sparse = writePruned(pruned(850_000, 0.1, true)).length;
  assert.ok(dense / sparse > 5, `${dense} / ${sparse}`);
  const { tensors } = readSafetensors(writePruned(pruned(850_000, 0.1, true)));
  assert.equal([...tensors.keys()].sort(), ["secateur.mask.w", "secateur.values.w"]);
  assert.is(tensors.get("secateur.mask.w")!.data.length, 850_000 / 8);
});

test("zeros without a mask shrink the file too, and stay without a mask; -0 survives", () => {
  const graph = pruned(10_000, 0.05, false);
  (graph.weights.get("w")!.data as Float32Array).fill(-0, 5, 9);
  const bytes = writePruned(graph);
  assert.ok(bytes.length < 6000, `${bytes.length}`);
  const back = readPruned(bytes);
  sameGraph(graph, back, "bitmap");
  assert.is(back.masks.size, 0);
});

test("what a mask prunes is stored as +0", () => {
  const graph = pruned(10, 0.5, true);
  const mask = graph.masks.get("w")!.data;
  const negative = Float32Array.from(mask as Uint8Array, (m) => (m ? 1 : -0));
  const weights = new Map([["w", { ...graph.weights.get("w")!, data: negative }]]);
  const zeros = Float32Array.from(mask as Uint8Array, (m) => (m ? 1 : 0));
  const expected: HostTensor = { dtype: "f32", shape: [1, 10], data: zeros };
  for (const format of ["safetensors", "onnx"] as const) {
    const back = modelFromBytes(modelToBytes({ ...graph, weights }, format));
    sameTensor(expected, back.weights.get("w")!, format);
  }
});

// --- damage

/** The parts of a written file, changed, as a file again. */
function tampered(
  change: (tensors: Map<string, HostTensor>, metadata: Map<string, string>) => void,
): Uint8Array {
  const { tensors, metadata } = readSafetensors(writePruned(pruned(1000, 0.1, true)));
  change(tensors, metadata);
  return writeSafetensors(tensors, metadata);
}
const graphText = (change: (text: string) => string) =>
  tampered((_, metadata) => metadata.set(metadataKeys.graph, change(metadata.get(metadataKeys.graph)!)));
const bits = (n: number, value: number): HostTensor => tensor(new Uint8Array(n).fill(value), [n]);

const damage: readonly (readonly [string, readonly ErrorCode[], () => Uint8Array])[] = [
  [
    "bits unequal to the value count",
    ["E_SPARSE"],
    () => tampered((t) => t.set("secateur.mask.w", bits(125, 1))),
  ],
  ["mask too short", ["E_SPARSE"], () => tampered((t) => t.set("secateur.mask.w", bits(124, 0)))],
  ["mask missing", ["E_SPARSE"], () => tampered((t) => t.delete("secateur.mask.w"))],
  ["values missing", ["E_METADATA"], () => tampered((t) => t.delete("secateur.values.w"))],
  [
    "values of another dtype",
    ["E_METADATA"],
    () =>
      tampered((t) =>
        t.set(
          "secateur.values.w",
          tensor(new Float64Array(t.get("secateur.values.w")!.data.length), [
            t.get("secateur.values.w")!.data.length,
          ]),
        ),
      ),
  ],
  ["a tensor too many", ["E_FORMAT"], () => tampered((t) => t.set("other", bits(1, 0)))],
  ["graph not JSON", ["E_METADATA"], () => graphText(() => "{")],
  ["graph null", ["E_METADATA"], () => graphText(() => "null")],
  [
    "graph of another version",
    ["E_METADATA"],
    () => graphText((s) => s.replace('"version":1', '"version":2')),
  ],
  ["graph nested deep", ["E_METADATA"], () => graphText(() => "[".repeat(3_000_000))],
  [
    "graph with a duplicate key",
    ["E_METADATA"],
    () => graphText((s) => s.replace('"version":1', '"version":1,"version":1')),
  ],
  [
    "weight listed twice",
    ["E_METADATA"],
    () => graphText((s) => s.replace(/"weights":\[(.*)\]/, '"weights":[$1,$1]')),
  ],
  [
    "weight of absurd shape",
    ["E_METADATA"],
    () => graphText((s) => s.replace('"shape":[1,1000]', '"shape":[1000000000000000,1000]')),
  ],
  [
    "weight of another shape",
    ["E_SPARSE"],
    () => graphText((s) => s.replace('"shape":[1,1000]', '"shape":[1,2000]')),
  ],
  ["unknown op", ["E_UNSUPPORTED"], () => graphText((s) => s.replace('"op":"Add"', '"op":"Frobnicate"'))],
  [
    "missing operand",
    ["E_GRAPH"],
    () => graphText((s) => s.replace('"inputs":["x","w"]', '"inputs":["x","ghost"]')),
  ],
  ["cycle", ["E_GRAPH"], () => graphText((s) => s.replace('"inputs":["x","w"]', '"inputs":["x","Add_0"]'))],
  [
    "100,001 nodes",
    ["E_METADATA"],
    () =>
      graphText((s) =>
        s.replace(/"nodes":\[(.*?)\],"weights"/, (_, n) => `"nodes":[${Array(100_001).fill(n)}],"weights"`),
      ),
  ],
  [
    "a shape of a million dimensions",
    ["E_METADATA"],
    () => graphText((s) => s.replace('"shape":[1,1000]', `"shape":[${Array(1_000_000).fill(1)}]`)),
  ],
];
for (const [what, codes, make] of damage) {
  test(`refuses: ${what}`, () => {
    const bytes = make();
    refuses(() => modelFromBytes(bytes, { name: "a.safetensors" }), codes, what);
  });
}

test("a dense weight that is not zero under its mask is refused", () => {
  const { tensors, metadata } = readSafetensors(writePruned(pruned(20, 0.5, true)));
  assert.ok(tensors.has("w"), "small weights stay dense");
  tensors.set("w", tensor(new Float32Array(20).fill(3), [1, 20]));
  refuses(() => readPruned(writeSafetensors(tensors, metadata)), "E_SPARSE", "changed weights");
});

test("preprocessing is read from metadata, and refused when damaged", () => {
  const read = (text: string) => readPreprocessing(new Map([[metadataKeys.preprocessing, text]]));
  assert.equal(read('{"scale":0.5,"mean":[0],"std":[1]}'), { scale: 0.5, mean: [0], std: [1] });
  assert.is(readPreprocessing(new Map()), undefined);
  for (const bad of [
    "",
    "[]",
    '{"scale":"1","mean":[0],"std":[1]}',
    '{"scale":1,"mean":[0],"std":[0]}',
    '{"scale":1e999,"mean":[],"std":[]}',
  ]) {
    refuses(() => read(bad), "E_METADATA", bad);
  }
});

// --- sources and targets

test("models load by path, file URL, data URL and bytes, with or without a telling name", async () => {
  const graph = pruned(100, 0.3, true);
  for (const format of ["safetensors", "onnx"] as const) {
    const path = join(folder, `m.${format}`);
    const bytes = await saveModel(graph, path);
    assert.ok(readFileSync(path).equals(Buffer.from(bytes)));
    sameGraph(graph, await loadModel(path), "path");
    sameGraph(graph, await loadModel(pathToFileURL(path)), "file URL");
    sameGraph(graph, await loadModel(bytes), "bytes");
    sameGraph(graph, await loadModel(new Uint8Array(bytes).buffer), "ArrayBuffer");
    const data = `data:application/octet-stream;base64,${Buffer.from(bytes).toString("base64")}`;
    sameGraph(graph, await loadInBrowser(data), "data URL");
    assert.ok(
      Buffer.from(await saveInBrowser(graph, `m.${format}`)).equals(Buffer.from(bytes)),
      "browser save",
    );
  }
});

test("a file is written whole or not at all", async () => {
  const graph = pruned(10, 1, false);
  await refusesAsync(() => saveModel(graph, join(folder, "none", "m.onnx")), "E_IO", "missing folder");
  await refusesAsync(() => saveModel(graph, folder), "E_INPUT", "no extension");
  await refusesAsync(() => writeFileWhole(folder, "x"), "E_IO", "a folder as target");
  await refusesAsync(() => saveModel(graph, "/proc/m.onnx"), "E_IO", "a folder without writing");
  await refusesAsync(() => writeFileWhole("/dev/null", "x"), "E_IO", "a device as target");
  assert.ok(statSync("/dev/null").isCharacterDevice());
  await writeFileWhole(join(folder, "linked.txt"), "a");
  symlinkSync("linked.txt", join(folder, "link.txt"));
  await writeFileWhole(join(folder, "link.txt"), "b");
  assert.is(readFileSync(join(folder, "linked.txt"), "utf8"), "b", "a link is followed");
  await writeFileWhole(join(folder, "whole.txt"), "old");
  await writeFileWhole(join(folder, "whole.txt"), "new");
  assert.is(readFileSync(join(folder, "whole.txt"), "utf8"), "new");
  assert.equal(
    readdirSync(folder).filter((f) => f.endsWith(".tmp")),
    [],
    "no temporary file is left",
  );
});

test("what cannot be opened says so", async () => {
  await refusesAsync(() => loadModel(join(folder, "missing.onnx")), "E_IO", "missing");
  await refusesAsync(() => loadModel(folder), "E_IO", "folder");
  await refusesAsync(() => loadModel("/dev/zero"), "E_IO", "device");
  await refusesAsync(() => loadModel("file://elsewhere/x.onnx"), "E_IO", "file URL of another host");
  await refusesAsync(() => loadModel("data:nonsense"), "E_IO", "broken data URL");
  writeFileSync(join(folder, "big.onnx"), new Uint8Array(2000));
  await refusesAsync(() => loadModel(join(folder, "big.onnx"), { maxBytes: 1999 }), "E_LIMIT", "too large");
  await refusesAsync(() => loadInBrowser("data:,xxxxxxxxxx", { maxBytes: 9 }), "E_LIMIT", "too large by URL");
  await refusesAsync(() => loadModel(5 as unknown as string), "E_INPUT", "a number");
  symlinkSync(join(folder, "nowhere"), join(folder, "dangling.onnx"));
  await refusesAsync(() => loadModel(join(folder, "dangling.onnx")), "E_IO", "dangling link");
  assert.ok(statSync(folder).isDirectory());
});

test("plain weights need a net, and a file of ours needs none", async () => {
  const plain = join(folder, "plain.safetensors");
  writeFileSync(plain, writeSafetensors(new Map([["w", tensor([1], [1])]])));
  const error = await refusesAsync(() => loadModel(plain), "E_FORMAT", "plain weights");
  assert.match(error.message, /ARCH:/);
  const own = join(folder, "own.safetensors");
  await saveModel(pruned(10, 1, false), own);
  await refusesAsync(() => loadModel(own, { arch: "resnet20" }), "E_FORMAT", "the wrong net");
});

test("plain weights with a record go into the net the record makes", async () => {
  if (!findOp("Gemm")) return skip("plain weights with a record", "no op Gemm");
  const net = buildNet("lenet300");
  const weights = new Map(net.weights);
  const slice = (name: string, axis: number): void => {
    const w = weights.get(name)!;
    const [rows, columns] = [w.shape[0]!, w.shape[1] ?? 1];
    const kept = axis === 0 ? [5, columns] : [rows, 5];
    const data = Float32Array.from({ length: kept[0]! * kept[1]! }, (_, i) => i / 1000);
    weights.set(name, { dtype: "f32", shape: w.shape.length === 1 ? [5] : kept, data });
  };
  const names = [...weights.keys()].filter((n) => /ip2\.(weight|bias)$|ip3\.weight$/.test(n));
  assert.is(names.length, 3, `names of LeNet-300: ${[...weights.keys()]}`);
  for (const name of names) slice(name, name.includes("ip3") ? 1 : 0);
  const kept = [1, 2, 3, 5, 8];
  const structure = {
    weights: names.map((weight) => ({ weight, axis: weight.includes("ip3") ? 1 : 0, of: 100, kept })),
    attributes: [],
    constants: [],
    biases: [],
  };
  const step = { kind: "compact", before: "0".repeat(64), after: "0".repeat(64), layers: [], structure };
  const metadata = new Map([[metadataKeys.record, JSON.stringify({ version: 1, steps: [step] })]]);
  const parameters = new Map([...weights].filter(([, w]) => w.dtype === "f32"));
  const path = join(folder, "recorded.safetensors");
  writeFileSync(path, writeSafetensors(parameters, metadata));
  const graph = await openModel(`lenet300:${path}`);
  for (const name of names) sameTensor(weights.get(name)!, graph.weights.get(name)!, name);
  parameters.delete(names[0]!);
  writeFileSync(path, writeSafetensors(parameters, metadata));
  await refusesAsync(() => openModel(`lenet300:${path}`), "E_FORMAT", "a missing weight");
});

test("MODEL arguments", async () => {
  assert.equal(parseModelSpec("resnet20"), { kind: "net", arch: "resnet20" });
  assert.equal(parseModelSpec("resnet20:a/b.safetensors"), {
    kind: "file",
    path: "a/b.safetensors",
    arch: "resnet20",
  });
  assert.equal(parseModelSpec("a:b.onnx"), { kind: "file", path: "a:b.onnx" });
  assert.equal(parseModelSpec("C:\\m.ONNX"), { kind: "file", path: "C:\\m.ONNX" });
  for (const bad of ["", "resnet21", "resnet20:", "weights.bin", "lenet5x:w", "__proto__", "constructor"]) {
    refuses(() => parseModelSpec(bad), "E_USAGE", bad);
  }
  await refusesAsync(() => openModel("resnet21"), "E_USAGE", "unknown net");
});

test.run();
