import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ErrorCode } from "../../src/errors.ts";
import { readOnnx } from "../../src/io/onnx/read.ts";
import { seeded } from "../../src/tensor/random.ts";
import { refuses } from "../support/files.ts";
import {
  elementType,
  floats,
  joined,
  longs,
  node,
  oneNode,
  onnxModel,
  tag,
  tensorProto,
  valueInfo,
  varint,
  wrapped,
} from "../support/onnx-build.ts";

const test = suite("onnx: hostile files");

const relu = node("Relu", ["x"], ["y"]);
const small = onnxModel({
  nodes: [node("Add", ["x", "w"], ["y"])],
  initializers: [floats("w", [3], [1, 2, 3])],
});
const withWeight = (proto: ReturnType<typeof tensorProto>): Uint8Array =>
  onnxModel({ nodes: [node("Add", ["x", "w"], ["y"])], initializers: [proto] });
/** A model whose graph (field 7) is these bytes. */
const graphOf = (...bytes: ArrayLike<number>[]): Uint8Array =>
  joined([0x08, 8], wrapped(8, joined(tag(2, 0), varint(22))), wrapped(7, joined(...bytes)));
/** Messages within messages: `steps` tags repeated, `depth` levels. */
function nested(levels: readonly number[], depth: number): Uint8Array {
  // Built from the inside out with growing lengths; one buffer, filled backwards.
  const out = new Uint8Array(depth * 6);
  let at = out.length;
  for (let i = depth - 1; i >= 0; i--) {
    const head = [...tag(levels[i % levels.length]!, 2), ...varint(out.length - at)];
    at -= head.length;
    out.set(head, at);
  }
  return out.subarray(at);
}

const noise = (n: number, seed: number): Uint8Array => {
  const random = seeded(seed);
  return Uint8Array.from({ length: n }, () => random.below(256));
};

const bytesCases: readonly (readonly [string, readonly ErrorCode[], () => Uint8Array])[] = [
  ["empty", ["E_TRUNCATED"], () => new Uint8Array(0)],
  ["text", ["E_PROTO", "E_TRUNCATED"], () => new TextEncoder().encode("hello, this is no model")],
  ["zeros", ["E_PROTO"], () => new Uint8Array(100)],
  ["length beyond the end", ["E_PROTO"], () => joined(tag(7, 2), varint(1000), [0])],
  ["length 2^64 - 1", ["E_PROTO"], () => joined(tag(7, 2), varint(2n ** 64n - 1n), [0])],
  ["length 2^53", ["E_PROTO"], () => joined(tag(7, 2), varint(2n ** 53n), [0])],
  [
    "nested length beyond its message",
    ["E_PROTO"],
    () => joined(wrapped(7, joined(tag(2, 2), varint(50))), new Uint8Array(99)),
  ],
  ["varint of eleven bytes", ["E_PROTO"], () => joined(tag(1, 0), varint(8, 10))],
  ["tag varint of eleven bytes", ["E_PROTO"], () => joined(varint(8, 10), [8])],
  [
    "varint without an end",
    ["E_PROTO", "E_TRUNCATED"],
    () => joined(tag(1, 0), new Uint8Array(5000).fill(0xff)),
  ],
  ["tag beyond 32 bits", ["E_PROTO"], () => joined(varint(2n ** 34n), [0])],
  ["field number 0", ["E_PROTO"], () => joined([0x02, 0x00])],
  ...[3, 4, 6, 7].map(
    (wire) => [`wire type ${wire}`, ["E_PROTO"], () => joined(tag(20, wire), [0, 0])] as const,
  ),
  ["group end alone", ["E_PROTO"], () => joined(tag(7, 4))],
  ["100,000 groups", ["E_PROTO"], () => new Uint8Array(100_000).fill((20 << 3) | 3)],
  ["wrong wire type of a known field", ["E_PROTO"], () => joined(tag(7, 0), [1])],
  ["string as a fixed number", ["E_PROTO"], () => joined(tag(2, 5), [1, 2, 3, 4])],
  [
    "packed floats of five bytes",
    ["E_PROTO"],
    () => graphOf(wrapped(5, joined(tag(4, 2), [5, 0, 0, 0, 0, 0]))),
  ],
  ["text that is not UTF-8", ["E_PROTO"], () => joined(wrapped(2, Uint8Array.of(0xc3, 0x28)))],
  ["100,000 subgraphs deep", ["E_LIMIT"], () => joined(wrapped(7, nested([1, 5, 6], 100_000)))],
  ["types 70 deep", ["E_LIMIT"], () => graphOf(wrapped(11, wrapped(2, nested([4, 1], 140))))],
  [
    "a million and one empty messages",
    ["E_LIMIT"],
    () => {
      const body = new Uint8Array(2_000_004);
      for (let i = 0; i < body.length; i += 2) body[i] = 0x0a;
      return joined2([0x08, 8], tag(7, 2), varint(body.length), body);
    },
  ],
  [
    "100,001 nodes",
    ["E_LIMIT"],
    () => {
      const body = new Uint8Array(200_002);
      for (let i = 0; i < body.length; i += 2) body[i] = 0x0a;
      return joined2(tag(7, 2), varint(body.length), body);
    },
  ],
  [
    "17 million numbers in one packed field",
    ["E_LIMIT"],
    () => {
      const n = 2 ** 24 + 1;
      const tensor = joined2(tag(7, 2), varint(n), new Uint8Array(n));
      const graph = joined2(tag(5, 2), varint(tensor.length), tensor);
      return joined2(tag(7, 2), varint(graph.length), graph);
    },
  ],
  ["no graph", ["E_PROTO"], () => joined([0x08, 8])],
  ["no opset", ["E_PROTO"], () => joined([0x08, 8], wrapped(7, new Uint8Array(0)))],
];
/** `joined` for large parts. */
function joined2(...parts: ArrayLike<number>[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

for (const [what, codes, make] of bytesCases) {
  test(`bytes: ${what}`, () => {
    const bytes = make();
    const error = refuses(() => readOnnx(bytes, { file: "evil.onnx" }), codes, what);
    assert.is(error.where.file, "evil.onnx");
  });
}

test("random bytes", () => {
  for (let seed = 0; seed < 300; seed++) {
    refuses(
      () => readOnnx(noise(1 + (seed % 97), seed)),
      ["E_TRUNCATED", "E_PROTO", "E_LIMIT"],
      `seed ${seed}`,
    );
  }
});

test("truncation at every byte of a small model", () => {
  readOnnx(small);
  for (let n = 0; n < small.length; n++) {
    refuses(() => readOnnx(small.subarray(0, n)), ["E_TRUNCATED", "E_PROTO"], `the first ${n} bytes`);
  }
});

const raw = (n: number): Float32Array => new Float32Array(n);
const tensorCases: readonly (readonly [string, ErrorCode, () => Uint8Array])[] = [
  ["raw_data shorter than dims", "E_SIZE", () => withWeight(tensorProto("w", 1, [3], { raw: raw(2) }))],
  ["raw_data longer than dims", "E_SIZE", () => withWeight(tensorProto("w", 1, [3], { raw: raw(4) }))],
  ["no data", "E_SIZE", () => withWeight(tensorProto("w", 1, [3], {}))],
  [
    "raw_data and float_data",
    "E_SIZE",
    () => withWeight(tensorProto("w", 1, [1], { raw: raw(1), floats: [1] })),
  ],
  [
    "float_data and int32_data",
    "E_SIZE",
    () => withWeight(tensorProto("w", 1, [1], { floats: [1], int32s: [1] })),
  ],
  ["float_data too long", "E_SIZE", () => withWeight(tensorProto("w", 1, [1], { floats: [1, 2] }))],
  ["data in the wrong field", "E_DTYPE", () => withWeight(tensorProto("w", 7, [1], { floats: [1] }))],
  ["u8 out of range", "E_SIZE", () => withWeight(tensorProto("w", 2, [1], { int32s: [256] }))],
  ["dimension -1", "E_SHAPE", () => withWeight(tensorProto("w", 1, [-1], { raw: raw(1) }))],
  ["dimension 2^62", "E_OVERFLOW", () => withWeight(tensorProto("w", 1, [2n ** 62n], { raw: raw(1) }))],
  [
    "dims that wrap to 4",
    "E_OVERFLOW",
    () => withWeight(tensorProto("w", 1, [4194305n, 4194305n, 211106198978564n], { raw: raw(4) })),
  ],
  ["2^31 elements", "E_OVERFLOW", () => withWeight(tensorProto("w", 2, [2 ** 31], { raw: raw(1) }))],
  ["rank 9", "E_SHAPE", () => withWeight(tensorProto("w", 1, [1, 1, 1, 1, 1, 1, 1, 1, 1], { raw: raw(1) }))],
  ["bfloat16", "E_DTYPE", () => withWeight(tensorProto("w", 16, [2], { raw: raw(1) }))],
  ["int4", "E_DTYPE", () => withWeight(tensorProto("w", 22, [2], { raw: raw(1) }))],
  ["string tensor", "E_DTYPE", () => withWeight(tensorProto("w", elementType.string, [1], {}))],
  ["undefined type", "E_DTYPE", () => withWeight(tensorProto("w", 0, [1], { raw: raw(1) }))],
  ["type 9999", "E_DTYPE", () => withWeight(tensorProto("w", 9999, [1], { raw: raw(1) }))],
  ["initializer without a name", "E_GRAPH", () => withWeight(tensorProto("", 1, [1], { raw: raw(1) }))],
  [
    "input of rank 9",
    "E_SHAPE",
    () => oneNode(relu, { inputs: [valueInfo("x", [1, 1, 1, 1, 1, 1, 1, 1, 1])] }),
  ],
  ["input dimension -2", "E_SHAPE", () => oneNode(relu, { inputs: [valueInfo("x", [-2])] })],
  ["input dimension 2^40", "E_OVERFLOW", () => oneNode(relu, { inputs: [valueInfo("x", [2n ** 40n])] })],
  ["input without a shape", "E_UNSUPPORTED", () => oneNode(relu, { inputs: [valueInfo("x", undefined)] })],
  ["string input", "E_DTYPE", () => oneNode(relu, { inputs: [valueInfo("x", [1], elementType.string)] })],
];
for (const [what, code, make] of tensorCases) {
  test(`tensors: ${what}`, () => {
    refuses(() => readOnnx(make()), code, what);
  });
}

test("tensors: dimension 0 loads", () => {
  const empty = readOnnx(withWeight(tensorProto("w", 1, [0, 3], {}))).weights.get("w")!;
  assert.equal(empty.shape, [0, 3]);
});

const graphCases: readonly (readonly [string, ErrorCode, () => Uint8Array])[] = [
  ["unknown op", "E_UNSUPPORTED", () => oneNode(node("Frobnicate", ["x"], ["y"]))],
  ["op called constructor", "E_UNSUPPORTED", () => oneNode(node("constructor", ["x"], ["y"]))],
  ["op called __proto__", "E_UNSUPPORTED", () => oneNode(node("__proto__", ["x"], ["y"]))],
  ["unknown attribute", "E_UNSUPPORTED", () => oneNode(node("Relu", ["x"], ["y"], { slope: 1 }))],
  ["attribute called toString", "E_UNSUPPORTED", () => oneNode(node("Relu", ["x"], ["y"], { toString: 1 }))],
  [
    "unknown domain",
    "E_UNSUPPORTED",
    () => oneNode(node("Relu", ["x"], ["y"], {}, { domain: "com.example" })),
  ],
  ["control flow", "E_UNSUPPORTED", () => oneNode(node("If", ["x"], ["y"]))],
  ["opset 5", "E_UNSUPPORTED", () => oneNode(relu, { opset: 5 })],
  ["opset 0", "E_UNSUPPORTED", () => oneNode(relu, { opset: 0 })],
  ["opset -1", "E_UNSUPPORTED", () => oneNode(relu, { opset: -1 })],
  ["opset 999", "E_UNSUPPORTED", () => oneNode(relu, { opset: 999 })],
  ["opset 2^62", "E_UNSUPPORTED", () => oneNode(relu, { opset: 2n ** 62n })],
  [
    "an op that opset 27 changed",
    "E_UNSUPPORTED",
    () => oneNode(node("Range", ["x", "x", "x"], ["y"]), { opset: 27 }),
  ],
  ["too few inputs", "E_GRAPH", () => oneNode(node("Add", ["x"], ["y"]))],
  ["too many inputs", "E_GRAPH", () => oneNode(node("Relu", ["x", "x"], ["y"]))],
  ["no output", "E_GRAPH", () => oneNode(node("Relu", ["x"], []))],
  ["self cycle", "E_GRAPH", () => oneNode(node("Add", ["x", "y"], ["y"]))],
  [
    "cycle",
    "E_GRAPH",
    () =>
      onnxModel({
        nodes: [node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])],
      }),
  ],
  ["use before any definition", "E_GRAPH", () => oneNode(node("Relu", ["ghost"], ["y"]))],
  ["defined twice", "E_GRAPH", () => onnxModel({ nodes: [relu, relu] })],
  [
    "defined by node and input",
    "E_GRAPH",
    () => oneNode(node("Relu", ["x"], ["x"]), { outputs: [valueInfo("x", [2, 3])] }),
  ],
  [
    "defined by node and initializer",
    "E_GRAPH",
    () => oneNode(node("Relu", ["x"], ["w"]), { initializers: [floats("w", [1], [1])] }),
  ],
  [
    "initializer twice",
    "E_GRAPH",
    () => onnxModel({ nodes: [relu], initializers: [floats("w", [1], [1]), floats("w", [1], [1])] }),
  ],
  [
    "constant over an initializer",
    "E_GRAPH",
    () =>
      onnxModel({
        nodes: [node("Constant", [], ["w"], { value_float: 1 }), relu],
        initializers: [floats("w", [1], [1])],
      }),
  ],
  [
    "constant over an input",
    "E_GRAPH",
    () => onnxModel({ nodes: [node("Constant", [], ["x"], { value_float: 1 }), relu] }),
  ],
  [
    "constant over a node",
    "E_GRAPH",
    () => onnxModel({ nodes: [relu, node("Constant", [], ["y"], { value_float: 1 })] }),
  ],
  ["input twice", "E_GRAPH", () => oneNode(relu, { inputs: [valueInfo("x", [1]), valueInfo("x", [1])] })],
  ["missing output", "E_GRAPH", () => oneNode(relu, { outputs: [valueInfo("z", [2, 3])] })],
  [
    "attribute twice",
    "E_ATTRIBUTE",
    () => {
      const n = node("LeakyRelu", ["x"], ["y"], { alpha: 1 });
      return oneNode({ ...n, attribute: [...n.attribute, ...n.attribute] });
    },
  ],
  [
    "metadata twice",
    "E_METADATA",
    () =>
      oneNode(relu, {
        metadata: [
          ["a", "1"],
          ["a", "2"],
        ],
      }),
  ],
  ["mask that is not base64", "E_METADATA", () => masked("!!!")],
  ["mask of the wrong length", "E_SPARSE", () => masked(btoa("\x07\x00"))],
  ["mask with stray bits", "E_SPARSE", () => masked(btoa("\x0f"))],
  ["mask over a weight that is not zero there", "E_SPARSE", () => masked(btoa("\x03"))],
];
function masked(text: string): Uint8Array {
  return onnxModel({
    nodes: [node("Add", ["x", "w"], ["y"])],
    initializers: [floats("w", [3], [1, 2, 3])],
    metadata: [["secateur.mask.w", text]],
  });
}
for (const [what, code, make] of graphCases) {
  test(`graph: ${what}`, () => {
    const bytes = make();
    const error = refuses(() => readOnnx(bytes), code, what);
    if (code === "E_UNSUPPORTED" && what.includes("op ")) assert.match(error.message, /op/i);
  });
}

test("graph: all unknown ops are named at once", () => {
  const nodes = [node("Frobnicate", ["x"], ["a"]), node("Relu", ["a"], ["b"]), node("Wibble", ["b"], ["y"])];
  const error = refuses(() => readOnnx(onnxModel({ nodes })), "E_UNSUPPORTED", "two unknown ops");
  assert.match(error.message, /Frobnicate, Wibble/);
});

test("graph: names that JavaScript objects trip over are ordinary names", () => {
  const g = readOnnx(
    onnxModel({
      nodes: [node("Add", ["x", "__proto__"], ["constructor"]), node("Relu", ["constructor"], ["toString"])],
      initializers: [floats("__proto__", [3], [1, 2, 3])],
      outputs: [valueInfo("toString", [2, 3])],
    }),
  );
  assert.equal([...g.weights.keys()], ["__proto__"]);
  assert.is(g.nodes.length, 2);
});

test("graph: 50,000 nodes of one name load fast", () => {
  const chain = Array.from({ length: 50_000 }, (_, i) =>
    node("Relu", [i ? `v${i}` : "x"], [`v${i + 1}`], {}, { name: "same" }),
  );
  const bytes = onnxModel({ nodes: chain, outputs: [valueInfo("v50000", [2, 3])] });
  const start = performance.now();
  const g = readOnnx(bytes);
  assert.ok(performance.now() - start < 5000, "took over five seconds");
  assert.is(new Set(g.nodes.map((n) => n.name)).size, 50_000, "node names are unique");
});

test("graph: indices given as a bare number are read", () => {
  assert.is(
    readOnnx(oneNode(node("Gather", ["x", "i"], ["y"]), { initializers: [longs("i", [0])] })).nodes.length,
    1,
  );
});

test.run();
