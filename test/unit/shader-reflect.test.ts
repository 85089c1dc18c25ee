import { suite } from "uvu";
import * as assert from "uvu/assert";
import { packParams } from "../../src/shader/params.ts";
import { fails } from "../support/error.ts";
import { shaderFrom } from "../support/shader.ts";

const test = suite("shader reflection and params");

const TEXT = `// test/all: everything that a kernel may declare.
override WG_SIZE: u32 = 64;
override SCALE = 1.5;
override FLAG: bool = true;
override NEEDED: i32;
const TM: u32 = 4u; // @spec 2 4
alias Elem = f32; // @spec f32 f16
struct Params {
  n: u32,
  scale: f32,
  shift: i32,
  size: vec3<u32>,
  pair: vec2f,
  rows: array<vec4<u32>, 2>,
  last: f32,
}
@group(0) @binding(0) var<storage> x: array<Elem>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> unused: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;
var<workgroup> partial: array<f32, WG_SIZE>;
fn helper(block: u32) -> f32 { return f32(x[block]); }
@compute @workgroup_size(WG_SIZE / TM, 2)
fn main() { y[0] = vec4<f32>(helper(params.n)); }
@compute @workgroup_size(1)
fn second() { let stage = unused[0]; y[1].x = f32(stage); partial[0] = 1.0; }
`;

test("bindings are found per entry point, through functions", () => {
  const { source } = shaderFrom("all", TEXT);
  assert.equal([...source.entries["main"]!.bindings].sort(), ["params", "x", "y"]);
  assert.equal([...source.entries["second"]!.bindings].sort(), ["unused", "y"]);
  assert.equal(source.bindings, {
    params: { binding: 1, kind: "uniform", access: "read" },
    x: { binding: 0, kind: "storage", access: "read" },
    y: { binding: 3, kind: "storage", access: "read_write" },
    unused: { binding: 2, kind: "storage", access: "read" },
  });
  assert.equal(source.entries["main"]!.workgroupSize, ["WG_SIZE / TM", "2", "1"]);
  assert.equal(source.overrides, {
    WG_SIZE: { type: "u32", init: "64" },
    SCALE: { type: "f32", init: "1.5" },
    FLAG: { type: "bool", init: "true" },
    NEEDED: { type: "i32" },
  });
  assert.equal(source.spec, {
    TM: { kind: "const", init: "4u", values: ["2", "4"] },
    Elem: { kind: "alias", init: "f32", values: ["f32", "f16"] },
  });
});

test("textures are those of texels: four floats or words, to be read", () => {
  const declared = (type: string): string => `
@group(0) @binding(0) var x: ${type};
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@compute @workgroup_size(1)
fn main() { y[0] = vec4<f32>(textureLoad(x, vec2<u32>(0u, 0u))); }
`;
  for (const format of ["rgba32float", "rgba32uint"]) {
    const { source } = shaderFrom("texels", declared(`texture_storage_2d<${format}, read>`));
    assert.equal(source.bindings["x"], { binding: 0, kind: "texels", access: "read", format });
    assert.equal([...source.entries["main"]!.bindings].sort(), ["x", "y"]);
  }
  for (const other of [
    "texture_storage_2d<rgba16float, read>",
    "texture_storage_2d<rgba32float, read_write>",
    "texture_storage_1d<rgba32float, read>",
  ])
    assert.throws(() => shaderFrom("other", declared(other)), /other\.wgsl:2: the texture x must be/);
});

test("params are packed at the offsets that WGSL prescribes", () => {
  const { source } = shaderFrom("all", TEXT);
  const offsets = Object.fromEntries(
    Object.entries(source.uniform!.fields).map(([name, f]) => [name, f.offset]),
  );
  assert.equal(offsets, { n: 0, scale: 4, shift: 8, size: 16, pair: 32, rows: 48, last: 80 });
  assert.is(source.uniform!.size, 96);
  const bytes = packParams("k", source.uniform, {
    n: 4294967295,
    scale: 0.5,
    shift: -2,
    size: [1, 2, 3],
    pair: [1.5, 2.5],
    rows: [1, 2, 3, 4, 5, 6, 7, 8],
    last: -1,
  });
  const [u, f, i] = [
    new Uint32Array(bytes.buffer),
    new Float32Array(bytes.buffer),
    new Int32Array(bytes.buffer),
  ];
  assert.equal([u[0], f[1], i[2]], [4294967295, 0.5, -2]);
  assert.equal([...u.subarray(4, 8)], [1, 2, 3, 0]);
  assert.equal([f[8], f[9], f[20]], [1.5, 2.5, -1]);
  assert.equal([...u.subarray(12, 20)], [1, 2, 3, 4, 5, 6, 7, 8]);
});

test("params that do not fit are refused by field", async () => {
  const { source } = shaderFrom(
    "p",
    "struct P { n: u32, i: i32, v: vec2<f32> }\n@group(0) @binding(0) var<uniform> params: P;\n@compute @workgroup_size(1) fn main() { _ = params.n; }",
  );
  const good = { n: 1, i: -1, v: [0, Number.POSITIVE_INFINITY] };
  assert.is(packParams("k", source.uniform, good).length, 16);
  const bad = (change: object, message: RegExp): Promise<unknown> =>
    fails(() => packParams("layer 3", source.uniform, { ...good, ...change }), "E_GPU", message);
  for (const n of [-1, 1.5, 2 ** 32, Number.NaN, "1", null]) await bad({ n }, /layer 3: .*n of params/);
  await bad({ i: 2 ** 31 }, /i of params is i32/);
  await bad({ v: [1] }, /v of params takes 2 numbers, but got 1/);
  await bad({ v: [1, "2"] }, /v of params/);
  await bad({ n: undefined }, /n of params is missing/);
  await bad({ m: 1 }, /no field m; its fields are n, i, v/);
  await bad({ __proto__: null, constructor: 1 }, /no field constructor/);
  await fails(() => packParams("bare", undefined, { n: 1 }), "E_GPU", /bare has no params/);
  assert.is(packParams("bare", undefined, {}).length, 0);
});

test("what breaks the conventions is an error with file and line", async () => {
  const main = "@compute @workgroup_size(1) fn main() { _ = params.n; }";
  const uniform = "struct P { n: u32 }\n@group(0) @binding(0) var<uniform> params: P;\n";
  const bad: [string, RegExp][] = [
    [`${uniform.replace("group(0)", "group(1)")}${main}`, /bad\.wgsl:2: .*@group\(1\)/],
    [
      `${uniform.replace("params:", "args:")}${main.replace("params", "args")}`,
      /bad\.wgsl:2: .*args must be named params/,
    ],
    [`${uniform}@group(0) @binding(0) var<storage> y: array<u32>;\n${main}`, /bad\.wgsl:3: .*taken already/],
    [`${uniform.replace("n: u32", "n: u32, m: mat2x2<f32>")}${main}`, /bad\.wgsl:2: .*field m/],
    [`${uniform}fn main() {}`, /no @compute entry point/],
    [`${uniform}\n\n${main.replace("_ = params.n", "let = ;")}`, /bad\.wgsl:5: wgsl_reflect cannot read it/],
    [`${uniform}const TM: u32 = 4u; // @spec 2 8\n${main}`, /bad\.wgsl:3: .*4u of TM is not among/],
    [`${uniform}const TM: u32 = 2u * 2u; // @spec 4\n${main}`, /bad\.wgsl:3: .*single literal/],
    [`${uniform}override TM: u32 = 2; // @spec 2\n${main}`, /bad\.wgsl:3: .*needs no @spec/],
    [
      `${uniform}${main.replace("_ =", "\nfor (var i: u32 = 0u; i < params.n; i++) { // @unroll\n }\n_ =")}`,
      /bad\.wgsl:4: .*@unroll/,
    ],
  ];
  for (const [text, message] of bad) await fails(() => shaderFrom("bad", text), "E_SHADER", message);
});

test("errors in an include are told with the include's own line", async () => {
  const text = '// main\n// @include "lib/x.wgsl"\n@compute @workgroup_size(1) fn main() {}\n';
  await fails(
    () => shaderFrom("m", text, { "lib/x.wgsl": "// x\n\nfn f( {}\n" }),
    "E_SHADER",
    /^shaders\/lib\/x\.wgsl:3: /,
  );
});

test.run();
