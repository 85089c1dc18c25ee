import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openGpuInNode } from "../../src/gpu/dawn.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { recordPass } from "../../src/gpu/passes.ts";
import { STORAGE_USAGE } from "../../src/gpu/usage.ts";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { findVariant } from "../../src/kernels/columns/variants.ts";
import { draft } from "../../src/plan/activations.ts";
import { chooseStored } from "../../src/plan/choose.ts";
import { lowerProgram } from "../../src/plan/lower.ts";
import { simplify } from "../../src/plan/simplify.ts";
import { adapterKind } from "../../src/run/adapter-kind.ts";
import { compile } from "../../src/run/compile.ts";
import { buildDeviceProgram } from "../../src/run/device-program.ts";
import { runReference } from "../../src/run/reference.ts";
import { compareOutputs } from "../../src/run/verify.ts";
import { TEXELS_PER_ROW } from "../../src/shader/texels.ts";
import { planOf, values } from "../support/columns-problems.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";
import { shaderFrom } from "../support/shader.ts";
import { skip } from "../support/skip.ts";

const test = suite("textures of vec4s on the GPU");

/** Runs where kernels may read textures. */
const texelTest = (name: string, run: (gpu: Gpu) => Promise<void>): void =>
  gpuTest(test, name, async (gpu) => {
    if (gpu.adapter.texels) await run(gpu);
    else skip(name, "the adapter reads no storage textures");
  });

const readBack = (format: "float" | "uint"): string => `
const TEXELS_PER_ROW: u32 = ${TEXELS_PER_ROW}u;
@group(0) @binding(0) var x: texture_storage_2d<rgba32${format}, read>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<u32>>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= arrayLength(&y)) { return; }
  y[id.x] = bitcast<vec4<u32>>(textureLoad(x, vec2<u32>(id.x % TEXELS_PER_ROW, id.x / TEXELS_PER_ROW)));
}`;

texelTest(
  "what is copied or written there is read back bit by bit, over rows and a part of one",
  async (gpu) => {
    for (const count of [1, 100, TEXELS_PER_ROW, 2 * TEXELS_PER_ROW + 5]) {
      for (const format of ["float", "uint"] as const) {
        const kernel = await gpu.compile(shaderFrom(`back-${format}`, readBack(format)));
        // As floats: no NaN and nothing subnormal, which a texture need not keep.
        const words = Uint32Array.from({ length: 4 * count }, (_, i) =>
          format === "uint" ? Math.imul(i + 1, 0x9e3779b1) >>> 0 : 0x3f800000 + i,
        );
        const source = gpu.createBuffer("source", words.byteLength, STORAGE_USAGE);
        const y = gpu.createBuffer("y", words.byteLength, STORAGE_USAGE);
        gpu.upload(source, words);
        const written = gpu.uploadTexels("written", words, `rgba32${format}`);
        const copied = gpu.createTexels("copied", count);
        for (const texture of format === "float" ? [written, copied] : [written]) {
          const group = gpu.bindGroup(kernel, "back", { x: { texture }, y: { buffer: y } });
          const one = { pipeline: kernel.pipeline, group, groups: [Math.ceil(count / 64), 1, 1] as const };
          const copy = texture === copied && { copy: { buffer: source, texture, texels: count } };
          gpu.submit([recordPass(gpu, { dispatches: [{ ...one, ...copy }] }, "back", 2)]);
          const got = new Uint32Array(await gpu.read(y, 0, words.byteLength));
          assert.is(
            got.findIndex((word, i) => word !== words[i]),
            -1,
          );
        }
        await gpu.destroyBuffers([source, y, written, copied]);
      }
    }
  },
);

texelTest("textures count as memory, keep its budget and give it back", async () => {
  const gpu = await openGpuInNode({ memoryBudget: 2 ** 20, label: "small GPU" });
  try {
    const texture = gpu.createTexels("half", 2 ** 15);
    assert.is(gpu.stats().bytes, 2 ** 19);
    assert.is(gpu.stats().buffers, 0);
    await fails(() => gpu.createTexels("more", 2 ** 16), "E_MEMORY", /the texture more needs 1048576 bytes/);
    await gpu.destroyBuffers([texture]);
    assert.is(gpu.stats().bytes, 0);
  } finally {
    gpu.dispose();
  }
});

texelTest("a texture and a buffer are not taken for each other", async (gpu) => {
  const kernel = await gpu.compile(shaderFrom("back", readBack("float")));
  const y = gpu.createBuffer("y", 64, STORAGE_USAGE);
  const texture = gpu.createTexels("x", 4);
  const bound =
    (x: object, other: object): (() => unknown) =>
    () =>
      gpu.bindGroup(kernel, "layer 7", { x, y: other } as never);
  await fails(bound({ buffer: y }, { buffer: y }), "E_GPU", /layer 7.*x takes a texture, but a buffer/);
  await fails(bound({ texture }, { texture }), "E_GPU", /layer 7.*y takes a buffer, but a texture/);
  await gpu.destroyBuffers([y, texture]);
});

const names = ["first", "second", "third"];

/** Two layers on one input, and one on what they give. */
function branches(): Graph {
  const b = graphBuilder("branches");
  const x = b.input("x", [4, 8, 6, 6]);
  const layer = (name: string, input: string, out: number, channels: number): string =>
    b.node("Conv", [input, b.weight(`${name}.w`, values([out, channels, 1, 1], 0.5))], {}, { name });
  const sum = b.node("Add", [layer("first", x, 8, 8), layer("second", x, 8, 8)]);
  b.output(layer("third", sum, 16, 8), [4, 16, 6, 6]);
  return b.build();
}

const variant = findVariant("csr", "gather-csr-texels/v4w8")!;

texelTest("what two layers read is copied once, what was written meanwhile anew", async (gpu) => {
  const graph = branches();
  const shapes = new Map(graph.inputs.map(({ name, shape }) => [name, shape as number[]]));
  const program = simplify(graph, shapes, new Map(), new Set());
  const { places, layouts } = draft(program, "batch-innermost");
  const kind = adapterKind(gpu);
  const plan = planOf(variant, graph);
  const choices = new Map([...places].map(([step, place]) => [step, chooseStored(place, plan, kind)]));
  const device = await buildDeviceProgram(gpu, lowerProgram(program, layouts, choices, kind), "branches");
  const layers = device.dispatches.filter(({ label }) => names.includes(label));
  assert.equal(
    layers.map(({ copy }) => copy !== undefined),
    [true, false, true],
  );
  const before = gpu.stats().bytes;
  device.dispose();
  await gpu.wait();
  assert.ok(gpu.stats().bytes < before);
});

texelTest("every run reads what it was given, however often it is recorded", async (gpu) => {
  const graph = branches();
  const plan = planOf(variant, graph);
  const session = await compile(gpu, graph, { plan, profile: true });
  for (let i = 0; i < 3; i++) {
    const inputs = { x: values([4, 8, 6, 6]) };
    compareOutputs(await session.run(inputs), runReference(graph, inputs), 2e-5);
    assert.ok((await session.time(3)) > 0);
  }
  const steps = await session.profile();
  assert.equal(steps.flatMap((s) => (names.includes(s.layer) ? s.layer : [])).sort(), names);
  session.dispose();
});

test.run();
