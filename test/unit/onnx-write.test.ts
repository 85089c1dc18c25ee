import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "onnx-buf";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UnsupportedError } from "../../src/errors.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import { type Graph, makeGraph } from "../../src/graph/graph.ts";
import { findOp } from "../../src/graph/ops/index.ts";
import { readOnnx } from "../../src/io/onnx/read.ts";
import { writeOnnx } from "../../src/io/onnx/write.ts";
import { readPruned, writePruned } from "../../src/io/pruned-file.ts";
import { scalar, tensor } from "../../src/tensor/host-tensor.ts";
import { refuses, sameGraph, shared } from "../support/files.ts";
import { skip } from "../support/skip.ts";

const test = suite("onnx: writing");

/** A graph with every kind of attribute and dtype the basic ops take. */
function sample(): Graph {
  const b = graphBuilder("sample");
  const x = b.input("x", [null, 3, null]);
  const w = b.weight("w", tensor([1, 0, -0.5], [3, 1]));
  const sum = b.node("Add", [x, w], {}, { name: "add" });
  const scaled = b.node("LeakyRelu", [sum], { alpha: 0.25 });
  const shape = b.node("Shape", [scaled], { start: 0, end: 2 });
  const fill = b.node("ConstantOfShape", [shape], { value: tensor([7], [1], "i64") });
  const wide = b.node("Cast", [fill], { to: 1 });
  const moved = b.node("Transpose", [scaled], { perm: [1, 0, 2] });
  const joined = b.node("Concat", [moved, moved], { axis: 0 });
  b.weight("unused f16", tensor([1, 2], [2], "f32"));
  b.weight("i", { dtype: "i64", shape: [], data: BigInt64Array.of(-5n) });
  b.output(joined, [6, null, null]);
  b.output(wide, [null, 3]);
  b.metadata("author", "someone \u00e9");
  b.metadata("secateur.record", '{"steps":[]}');
  const graph = b.build();
  const masks = new Map([["w", { dtype: "bool" as const, shape: [3, 1], data: Uint8Array.of(1, 0, 1) }]]);
  return makeGraph({ ...graph, masks });
}

test("a graph comes back from .onnx, and from .safetensors, as it was", () => {
  const graph = sample();
  sameGraph(graph, readOnnx(writeOnnx(graph)), "onnx");
  sameGraph(graph, readPruned(writePruned(graph)), "safetensors");
  sameGraph(graph, readOnnx(writeOnnx(readPruned(writePruned(graph)))), "safetensors, then onnx");
  sameGraph(graph, readPruned(writePruned(readOnnx(writeOnnx(graph)))), "onnx, then safetensors");
});

test("the same graph gives the same bytes", () => {
  assert.ok(Buffer.from(writeOnnx(sample())).equals(Buffer.from(writeOnnx(sample()))));
  const once = writeOnnx(sample());
  assert.ok(
    Buffer.from(writeOnnx(readOnnx(once))).equals(Buffer.from(once)),
    "a second pass changes nothing",
  );
});

test("what other runtimes look at: versions, types, dense weights, metadata", () => {
  const graph = sample();
  const raw = new Map(graph.weights);
  raw.set("w", tensor([1, 5, -0.5], [3, 1]));
  const model = fromBinary(ModelProtoSchema, writeOnnx({ ...graph, weights: raw }));
  assert.is(model.irVersion, 10n);
  assert.equal(
    model.opsetImport.map((o) => [o.domain, o.version]),
    [["", 22n]],
  );
  const dims = model.graph!.input[0]!.type!.value;
  assert.is(dims.case, "tensorType");
  if (dims.case !== "tensorType") return;
  assert.equal(
    dims.value.shape!.dim.map((d) => d.value.value),
    ["batch", 3n, "x_2"],
  );
  const w = model.graph!.initializer.find((t) => t.name === "w")!;
  assert.equal([...new Float32Array(w.rawData.slice().buffer)], [1, 0, -0.5], "masks are applied");
  assert.is(model.graph!.sparseInitializer.length, 0);
  const props = new Map(model.metadataProps.map((p) => [p.key, p.value]));
  assert.equal([...props.keys()].sort(), ["author", "secateur.mask.w", "secateur.record"]);
  assert.is(props.get("secateur.mask.w"), btoa("\x05"));
  assert.is(props.get("author"), "someone \u00e9");
});

test("ops of a later opset raise it, and only they", () => {
  const version = (op: string, inputs: number): bigint | undefined => {
    if (!findOp(op)) {
      skip(`opset of ${op}`, `no op ${op}`);
      return undefined;
    }
    const b = graphBuilder("g");
    const x = b.input("x", [2, 3]);
    const more = Array.from({ length: inputs - 1 }, (_, i) => b.weight(`w${i}`, tensor([1, 1, 1], [3])));
    b.output(b.node(op, [x, ...more]), [2, 3]);
    return fromBinary(ModelProtoSchema, writeOnnx(b.build())).opsetImport[0]!.version;
  };
  assert.is(version("Relu", 1), 22n);
  assert.ok([23n, undefined].includes(version("RMSNormalization", 2)));
  assert.ok([24n, undefined].includes(version("Swish", 1)));
});

test("a mask whose weight is gone stays an entry of the metadata", () => {
  const graph = sample();
  const orphan = { ...graph, metadata: new Map([...graph.metadata, ["secateur.mask.gone", "AA=="]]) };
  const back = readOnnx(writeOnnx(orphan));
  assert.is(back.metadata.get("secateur.mask.gone"), "AA==");
  assert.equal([...back.masks.keys()], ["w"]);
});

test("ops that are not ONNX's are refused by name", () => {
  const graph = sample();
  const nodes = graph.nodes.map((n) => (n.op === "LeakyRelu" ? { ...n, op: "secateur.Own" } : n));
  const error = refuses(() => writeOnnx({ ...graph, nodes }), "E_UNSUPPORTED", "own op");
  assert.match(error.message, /secateur\.Own/);
});

test("infinite and negative-zero attributes survive both formats", () => {
  const b = graphBuilder("g");
  const x = b.input("x", [2]);
  const y = b.node("LeakyRelu", [x], { alpha: Number.POSITIVE_INFINITY });
  b.output(b.node("Elu", [y], { alpha: -0 }), [2]);
  b.weight("s", scalar(Number.NaN));
  const graph = b.build();
  sameGraph(graph, readPruned(writePruned(graph)), "safetensors");
  sameGraph(graph, readOnnx(writeOnnx(graph)), "onnx");
});

test("numbers come back as their author wrote them", () => {
  for (const alpha of [0.1, 1e-5, 1 / 3, 0.30000001192092896, 1e-40, 16777216, -1.5e30]) {
    const b = graphBuilder("g");
    b.output(b.node("LeakyRelu", [b.input("x", [2])], { alpha }), [2]);
    const back = readOnnx(writeOnnx(b.build())).nodes[0]!.attributes.get("alpha") as number;
    assert.is(Math.fround(back), Math.fround(alpha));
    if (alpha === Number(alpha.toPrecision(7))) assert.is(back, alpha);
  }
});

test("every conformance model of ops we know parses and survives both formats; every other names its op", () => {
  const folder = shared("onnx-conformance/node", "conformance models parse");
  if (!folder) return;
  const counts = { read: 0, refused: 0 };
  for (const name of readdirSync(folder)) {
    const bytes = readFileSync(join(folder, name, "model.onnx"));
    const ops = fromBinary(ModelProtoSchema, bytes).graph!.node.map((n) => n.opType);
    const unknown = ops.filter((op) => op !== "Upsample" && !findOp(op));
    try {
      const graph = readOnnx(bytes, { file: name });
      sameGraph(graph, readOnnx(writeOnnx(graph)), `${name} as onnx`);
      sameGraph(graph, readPruned(writePruned(graph)), `${name} as safetensors`);
      counts.read++;
    } catch (error) {
      if (!(error instanceof UnsupportedError)) throw error;
      assert.ok(unknown.length > 0 || ops.includes("Upsample"), `${name} was refused: ${error.message}`);
      assert.match(error.message, new RegExp(`\\b(${[...unknown, "Resize"].join("|")})\\b`), name);
      counts.refused++;
    }
  }
  assert.ok(counts.read > 150, `${counts.read} models were read`);
});

test("ops that only training makes are written by no format", () => {
  const b = graphBuilder("step");
  b.output(b.node("ReluGrad", [b.input("dy", [2, 3]), b.input("y", [2, 3])]), [2, 3]);
  const graph = b.build();
  for (const write of [() => writeOnnx(graph), () => writePruned(graph)])
    assert.throws(write, (e: unknown) => (e as { code?: string }).code === "E_UNSUPPORTED");
});

test.run();
