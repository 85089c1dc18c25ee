import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ErrorCode } from "../../src/errors.ts";
import { loadModel } from "../../src/io/files.ts";
import { readOnnx } from "../../src/io/onnx/read.ts";
import { toNumbers } from "../../src/tensor/host-tensor.ts";
import { refuses, refusesAsync } from "../support/files.ts";
import { node, onnxModel, tensorProto } from "../support/onnx-build.ts";
import { skip } from "../support/skip.ts";

const test = suite("hostile external data");

const top = mkdtempSync(join(tmpdir(), "secateur-external-"));
const folder = join(top, "model");
const sub = join(folder, "sub");
mkdirSync(sub, { recursive: true });
test.after(() => rmSync(top, { recursive: true, force: true }));
const data = new Uint8Array(Float32Array.of(0, 1, 2, 3, 4).buffer);
for (const path of [join(folder, "w.bin"), join(sub, "w.bin"), join(top, "secret.bin")])
  writeFileSync(path, data);
symlinkSync(join(top, "secret.bin"), join(folder, "link.bin"));
symlinkSync("w.bin", join(folder, "inner-link.bin"));
symlinkSync(top, join(folder, "linked"));
symlinkSync("sub", join(folder, "inner-linked"));
writeFileSync(join(folder, "hard-a.bin"), data);
linkSync(join(folder, "hard-a.bin"), join(folder, "hard-b.bin"));

type Entries = readonly (readonly [string, string])[];

const modelBytes = (entries: Entries): Uint8Array =>
  onnxModel({
    nodes: [node("Add", ["x", "w"], ["y"])],
    initializers: [tensorProto("w", 1, [3], { external: entries })],
  });

async function load(entries: Entries, name = "m.onnx"): Promise<number[]> {
  const path = join(folder, name);
  writeFileSync(path, modelBytes(entries));
  return toNumbers((await loadModel(path)).weights.get("w")!);
}

const at = (location: string, offset?: string, length?: string): Entries => [
  ["location", location],
  ...(offset === undefined ? [] : [["offset", offset] as const]),
  ...(length === undefined ? [] : [["length", length] as const]),
];

test("data beside the model is read, at any offset, also from a sub-folder", async () => {
  assert.equal(await load(at("w.bin")), [0, 1, 2]);
  assert.equal(await load(at("w.bin", "8", "12")), [2, 3, 4]);
  assert.equal(await load(at("sub/w.bin", "4")), [1, 2, 3]);
  assert.equal(
    await load([...at("w.bin", "1", "12"), ["checksum", "abc"]].slice(0, 2) as Entries).then((v) => v.length),
    3,
  );
});

const paths: readonly (readonly [string, string])[] = [
  ["parent", "../secret.bin"],
  ["parent in the middle", "sub/../../secret.bin"],
  ["parent that stays inside", "sub/../w.bin"],
  ["absolute", "/etc/passwd"],
  ["drive letter", "C:\\x"],
  ["drive letter with a slash", "C:/x"],
  ["UNC", "\\\\host\\x"],
  ["backslash", "sub\\w.bin"],
  ["NUL", "w.bin\0.txt"],
  ["empty", ""],
  ["dot", "."],
  ["dot in front", "./w.bin"],
  ["folder", "sub"],
  ["trailing slash", "sub/"],
  ["fragment", "#/../x"],
  ["missing", "missing.bin"],
  ["missing folder", "nowhere/w.bin"],
  ["symbolic link", "link.bin"],
  ["symbolic link inside the folder", "inner-link.bin"],
  ["symbolic link among the parents", "linked/secret.bin"],
  ["symbolic link among the parents, inside", "inner-linked/w.bin"],
  ["hard link", "hard-b.bin"],
  ["file as folder", "w.bin/x"],
];
for (const [what, location] of paths) {
  test(`location: ${what}`, async () => {
    await refusesAsync(() => load(at(location)), ["E_PATH", "E_EXTERNAL"], what);
  });
}

test("location: FIFO, without waiting for a writer", async () => {
  try {
    execFileSync("mkfifo", [join(folder, "pipe")], { stdio: "ignore" });
  } catch {
    skip("location: FIFO", "mkfifo is not available");
    return;
  }
  const start = performance.now();
  await refusesAsync(() => load(at("pipe")), "E_PATH", "FIFO");
  assert.ok(performance.now() - start < 1000);
});

test("location: device", async () => {
  try {
    execFileSync("mknod", [join(folder, "zero"), "c", "1", "5"], { stdio: "ignore" });
  } catch {
    skip("location: device", "mknod is not allowed");
    return;
  }
  await refusesAsync(() => load(at("zero")), "E_PATH", "device");
});

const ranges: readonly (readonly [string, readonly ErrorCode[], Entries])[] = [
  ["negative offset", ["E_EXTERNAL"], at("w.bin", "-4")],
  ["offset not a number", ["E_EXTERNAL"], at("w.bin", "x")],
  ["offset with a fraction", ["E_EXTERNAL"], at("w.bin", "1.5")],
  ["offset in hexadecimal", ["E_EXTERNAL"], at("w.bin", "0x4")],
  ["offset empty", ["E_EXTERNAL"], at("w.bin", "")],
  ["offset 2^63", ["E_EXTERNAL"], at("w.bin", "9223372036854775808")],
  ["offset past the end", ["E_EXTERNAL"], at("w.bin", "12")],
  ["offset far past the end", ["E_EXTERNAL"], at("w.bin", "9007199254740991")],
  ["length negative", ["E_EXTERNAL"], at("w.bin", "0", "-12")],
  ["length unlike the shape", ["E_SIZE"], at("w.bin", "0", "16")],
  ["length 2^63", ["E_EXTERNAL"], at("w.bin", "0", "9223372036854775808")],
  ["offset + length overflow", ["E_EXTERNAL"], at("w.bin", "9007199254740991", "12")],
  ["unknown key", ["E_EXTERNAL"], [...at("w.bin"), ["mode", "w"]]],
  ["key __proto__", ["E_EXTERNAL"], [...at("w.bin"), ["__proto__", "x"]]],
  ["key twice", ["E_EXTERNAL"], [...at("w.bin"), ["location", "sub/w.bin"]]],
  ["no location", ["E_EXTERNAL"], [["offset", "0"]]],
  ["a basepath", ["E_EXTERNAL"], [...at("w.bin"), ["basepath", ".."]]],
];
for (const [what, codes, entries] of ranges) {
  test(`entries: ${what}`, async () => {
    await refusesAsync(() => load(entries), codes, what);
  });
}

test("raw and external data at once are refused", () => {
  const both = tensorProto("w", 1, [3], { raw: Float32Array.of(1, 2, 3), external: at("w.bin") });
  const bytes = onnxModel({ nodes: [node("Add", ["x", "w"], ["y"])], initializers: [both] });
  refuses(() => readOnnx(bytes, { external: () => data.subarray(0, 12) }), "E_SIZE", "both");
});

test("models from bytes and URLs never reach files", async () => {
  const bytes = modelBytes(at("w.bin"));
  await refusesAsync(() => loadModel(bytes), "E_EXTERNAL", "bytes");
  const url = `data:application/octet-stream;base64,${Buffer.from(bytes).toString("base64")}`;
  await refusesAsync(() => loadModel(url), "E_EXTERNAL", "URL");
});

test("many tensors over one large file are refused by their sum", async () => {
  writeFileSync(join(folder, "large.bin"), new Uint8Array(2 ** 20));
  const path = join(folder, "bomb.onnx");
  const initializers = Array.from({ length: 500 }, (_, i) =>
    tensorProto(`w${i}`, 2, [2 ** 20], { external: at("large.bin") }),
  );
  writeFileSync(path, onnxModel({ nodes: [node("Relu", ["x"], ["y"])], initializers }));
  await refusesAsync(() => loadModel(path, { maxBytes: 2 ** 23 }), "E_LIMIT", "sum");
});

test("a model opened by a bare file name finds its data in the current folder", async () => {
  writeFileSync(join(folder, "bare.onnx"), modelBytes(at("w.bin")));
  const before = process.cwd();
  process.chdir(folder);
  try {
    assert.is((await loadModel("bare.onnx")).weights.size, 1);
    writeFileSync("bare.onnx", modelBytes(at("../secret.bin")));
    await refusesAsync(() => loadModel("bare.onnx"), "E_PATH", "out of the current folder");
  } finally {
    process.chdir(before);
  }
});

test.run();
