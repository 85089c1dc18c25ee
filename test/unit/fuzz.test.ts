import { suite } from "uvu";
import * as assert from "uvu/assert";
import { SecateurError } from "../../src/errors.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import { makeGraph } from "../../src/graph/graph.ts";
import { modelFromBytes } from "../../src/io/model.ts";
import { readNpy, writeNpy } from "../../src/io/npy.ts";
import { writeOnnx } from "../../src/io/onnx/write.ts";
import { writePruned } from "../../src/io/pruned-file.ts";
import { readSafetensors, writeSafetensors } from "../../src/io/safetensors.ts";
import { scalar, tensor } from "../../src/tensor/host-tensor.ts";
import { type Random, seeded } from "../../src/tensor/random.ts";
import { floats, longs, node, onnxModel, valueInfo } from "../support/onnx-build.ts";

const test = suite("fuzz");

/** SECATEUR_FUZZ=1000000 runs longer; SECATEUR_FUZZ_SEED chooses other cases. */
const cases = Number(process.env.SECATEUR_FUZZ ?? 20_000);
const firstSeed = Number(process.env.SECATEUR_FUZZ_SEED ?? 1);

function graphModel() {
  const b = graphBuilder("net");
  const x = b.input("x", [2, 6]);
  const w = b.weight("w", tensor([1, 0, 0, 2, 0, 3], [6]));
  const sum = b.node("Add", [x, w]);
  const shape = b.constant([3, 4]);
  const moved = b.node("Reshape", [sum, shape], { allowzero: 0 });
  const fill = b.node("ConstantOfShape", [b.constant([4])], { value: scalar(1.5) });
  b.output(b.node("Concat", [b.node("Mul", [moved, fill]), moved], { axis: -1 }), [3, 8]);
  b.metadata("secateur.preprocessing", '{"scale":1,"mean":[0],"std":[1]}');
  const graph = b.build();
  const mask = { dtype: "bool" as const, shape: [6], data: Uint8Array.of(1, 0, 0, 1, 0, 1) };
  return makeGraph({ ...graph, masks: new Map([["w", mask]]) });
}

const oldModel = onnxModel({
  opset: 9,
  nodes: [
    node("Pad", ["x"], ["p"], { pads: [0n, 1n, 0n, 1n], value: 1 }),
    node("Slice", ["p"], ["s"], { starts: [0n, 1n], ends: [2n, 3n], axes: [0n, 1n] }),
    node("Unsqueeze", ["s"], ["u"], { axes: [0n] }),
    node("Constant", [], ["c"], { value: floats("", [2], [1, 2]) }),
    node("Add", ["u", "c"], ["a"]),
    node("ReduceMean", ["a"], ["m"], { axes: [1n], keepdims: 0n }),
    node("Tile", ["m", "t"], ["y"]),
  ],
  outputs: [valueInfo("y", [1, 4])],
  initializers: [longs("t", [1, 2])],
  metadata: [["k", "v"]],
});

interface Target {
  readonly name: string;
  readonly seed: Uint8Array;
  readonly read: (bytes: Uint8Array) => unknown;
}

const model = (name: string) => (bytes: Uint8Array) => modelFromBytes(bytes, { name });
const tensors = new Map([
  ["a", tensor([1, 2, 3, 4], [2, 2])],
  ["b", tensor([5], [1], "i64")],
  ["c", tensor([], [0, 3])],
]);
const targets: readonly Target[] = [
  {
    name: "safetensors",
    seed: writeSafetensors(tensors, new Map([["k", "v"]])),
    read: (b) => readSafetensors(b),
  },
  { name: "our safetensors", seed: writePruned(graphModel()), read: model("a.safetensors") },
  { name: "onnx", seed: writeOnnx(graphModel()), read: model("a.onnx") },
  { name: "old onnx", seed: oldModel, read: model("a.onnx") },
  { name: "npy", seed: writeNpy(tensor([1, 2, 3, 4, 5, 6], [2, 3])), read: (b) => readNpy(b) },
];

const interesting = [0, 1, 2, 7, 8, 10, 0x22, 0x2c, 0x2d, 0x39, 0x5b, 0x5d, 0x7b, 0x7d, 0x7f, 0x80, 0xff];

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39;

/** Bit flips, telling bytes, splices, cuts, repeats, and edits of numbers and lengths. */
function mutate(seed: Uint8Array, random: Random): Uint8Array {
  let bytes = Array.from(seed);
  // Half of the cases change one byte for another of its kind, which lengths and syntax often survive.
  if (random.below(2) === 0) {
    const at = random.below(bytes.length);
    if (isDigit(bytes[at])) bytes[at] = 0x30 + random.below(10);
    else bytes[at] = random.below(2) === 0 ? bytes[at]! ^ (1 << random.below(8)) : random.below(20);
    return Uint8Array.from(bytes);
  }
  const rounds = 1 + random.below(4);
  for (let r = 0; r < rounds; r++) {
    const at = random.below(bytes.length || 1);
    const length = 1 + random.below(16);
    switch (random.below(9)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
        break;
      case 1:
        bytes[at] = interesting[random.below(interesting.length)]!;
        break;
      case 2:
        bytes[at] = random.below(256);
        break;
      case 3:
        bytes.splice(at, length);
        break;
      case 4:
        bytes.splice(at, 0, ...bytes.slice(random.below(bytes.length || 1)).slice(0, length));
        break;
      case 5:
        bytes = bytes.slice(0, at);
        break;
      case 6:
        for (let i = 0; i < length && at + i < bytes.length; i++) bytes[at + i] = 0xff;
        break;
      case 7: {
        // A number in text, or a varint, made smaller or much larger.
        let digit = at;
        for (let i = 0; i < bytes.length && !isDigit(bytes[digit]); i++) digit = (digit + 1) % bytes.length;
        const text = [[0x30], [0x2d, 0x31], [0x31, 0x2e, 0x35], Array(1 + random.below(18)).fill(0x39)][
          random.below(4)
        ]!;
        if (random.below(2) === 0 && isDigit(bytes[digit])) bytes.splice(digit, 1, ...text);
        else bytes.splice(at, 1, ...Array(random.below(11)).fill(0xff));
        break;
      }
      default: {
        const from = random.below(bytes.length || 1);
        bytes.splice(at, length, ...bytes.slice(from, from + length));
      }
    }
  }
  return Uint8Array.from(bytes);
}

test("the seeds themselves are read", () => {
  for (const target of targets) target.read(target.seed);
});

test(`${cases} mutations: every one is read or refused by an error of ours, at once and without memory`, () => {
  const start = performance.now();
  const codes = new Map<string, number>();
  let slowest = 0;
  const random = seeded(firstSeed);
  global.gc?.();
  const before = process.memoryUsage().rss;
  for (let i = 0; i < cases; i++) {
    const target = targets[i % targets.length]!;
    const bytes = mutate(target.seed, random);
    const begin = performance.now();
    let code = "read";
    try {
      target.read(bytes);
    } catch (error) {
      const label = `${target.name}, case ${i}, seed ${firstSeed}`;
      if (!(error instanceof SecateurError))
        assert.unreachable(`${label}: ${(error as Error).stack ?? error}`);
      code = (error as SecateurError).code;
      if (code === "E_INTERNAL") {
        const cause = (error as Error).cause;
        assert.unreachable(
          `${label}: ${(error as Error).message}\n${cause instanceof Error ? cause.stack : ""}`,
        );
      }
    }
    slowest = Math.max(slowest, performance.now() - begin);
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  const grew = (process.memoryUsage().rss - before) / 2 ** 20;
  assert.ok(slowest < 1000, `the slowest case took ${slowest.toFixed(0)} ms`);
  assert.ok(grew < 150, `the process grew by ${grew.toFixed(0)} MB`);
  if (cases <= 20_000) assert.ok(performance.now() - start < 60_000, "took over a minute");
  // The fuzzer must reach far: many faults of many kinds, and some mutations that do no harm.
  assert.ok(codes.size >= 16, `only ${[...codes.keys()].join(" ")}`);
  assert.ok((codes.get("read") ?? 0) > cases / 20);
});

test.run();
