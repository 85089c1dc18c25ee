import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openGpuInNode } from "../../src/gpu/dawn.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { openGpu } from "../../src/gpu/open.ts";
import { createTimer } from "../../src/gpu/timer.ts";
import { STORAGE_USAGE, UNIFORM_USAGE } from "../../src/gpu/usage.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";
import { launch } from "../support/launch.ts";
import { shaderFrom } from "../support/shader.ts";

const test = suite("platform: errors and loss");

gpuTest(test, "an error that nobody awaits reaches the next check, wait and read, once", async (gpu) => {
  const provoke = (): unknown => gpu.device.createBuffer({ size: 16, usage: 0xffff, label: "wrong" });
  const buffer = gpu.createBuffer("fine", 16, STORAGE_USAGE);
  provoke();
  await fails(() => gpu.wait(), "E_GPU", /wrong/);
  provoke();
  await fails(() => gpu.read(buffer), "E_GPU", /wrong/);
  provoke();
  provoke();
  await new Promise((resolve) => setTimeout(resolve, 50));
  await fails(() => gpu.check(), "E_GPU", /wrong.*1 more/s);
  gpu.check();
  await gpu.wait();
  await gpu.destroyBuffers([buffer]);
});

gpuTest(test, "thousands of errors are counted, not kept", async (gpu) => {
  for (let i = 0; i < 2000; i++) gpu.device.createBuffer({ size: 16, usage: 0xffff });
  await fails(() => gpu.wait(), "E_GPU", /1999 more/);
});

/** Every method that must fail on a dead device. */
async function expectDead(gpu: Gpu, code: "E_DISPOSED" | "E_DEVICE_LOST", old: GPUBuffer): Promise<void> {
  await fails(() => gpu.check(), code);
  await fails(() => gpu.createBuffer("b", 16, STORAGE_USAGE), code);
  await fails(() => gpu.pool.acquire("b", 16, STORAGE_USAGE), code);
  await fails(() => gpu.compile("gpu/self-test"), code);
  await fails(() => gpu.bindGroup({ label: "k", bindings: {} } as never, "g", {}), code);
  await fails(() => gpu.upload(old, new Uint8Array(4)), code);
  await fails(() => gpu.read(old), code);
  await fails(() => gpu.submit([]), code);
  await fails(() => gpu.wait(), code);
  await fails(() => createTimer(gpu, 1), code);
  // Giving back must not get in the way of the error that is on its way out.
  await gpu.destroyBuffers([old]);
  gpu.pool.release(old);
  await gpu.pool.trim();
}

gpuTest(
  test,
  "after the loss of the device everything fails clearly, and a new one can be opened",
  async () => {
    const gpu = await openGpuInNode({ label: "doomed" });
    const buffer = gpu.createBuffer("b", 1024, STORAGE_USAGE);
    await gpu.wait();
    const reading = gpu.read(buffer);
    const waiting = gpu.wait();
    const compiling = gpu.compile("gpu/self-test");
    for (const pending of [reading, waiting, compiling]) pending.catch(() => {});
    gpu.device.destroy(); // as a driver's crash would: not through us
    assert.is((await gpu.lost).reason, "destroyed");
    await fails(() => reading, "E_DEVICE_LOST", /doomed/);
    await waiting.catch((error: Error) => assert.match(error.message, /doomed/));
    await compiling.catch((error: Error) => assert.match(error.message, /doomed/));
    await expectDead(gpu, "E_DEVICE_LOST", buffer);
    gpu.dispose();
    gpu.dispose();
    await fails(() => gpu.check(), "E_DISPOSED");
    const next = await openGpuInNode();
    await next.wait();
    next.dispose();
  },
);

gpuTest(test, "dispose twice is harmless; afterwards everything fails clearly", async () => {
  const gpu = await openGpuInNode();
  const buffer = gpu.createBuffer("b", 1024, STORAGE_USAGE);
  const reading = gpu.read(buffer);
  reading.catch(() => {});
  gpu.dispose();
  gpu.dispose();
  await fails(() => reading, "E_DISPOSED");
  await expectDead(gpu, "E_DISPOSED", buffer);
  assert.is((await gpu.lost).reason, "destroyed");
});

gpuTest(test, "dispose does not block while the device is at work", async () => {
  const gpu = await openGpuInNode();
  const kernel = await gpu.compile(
    shaderFrom(
      "long",
      `struct Params { n: u32 }
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;
@compute @workgroup_size(1)
fn main() {
  var state = y[0];
  for (var i = 0u; i < params.n; i++) { state = state * 1664525u + 1013904223u; }
  y[0] = state;
}
`,
    ),
  );
  const y = gpu.createBuffer("y", 16, STORAGE_USAGE);
  const params = gpu.createBuffer("params", 16, UNIFORM_USAGE);
  const time = async (n: number): Promise<number> => {
    gpu.upload(params, gpu.packParams(kernel, { n }));
    const start = performance.now();
    launch(gpu, kernel, { y, params }, 1);
    await gpu.wait();
    return performance.now() - start;
  };
  let n = 2 ** 20;
  while (n < 2 ** 31 && (await time(n)) < 150) n *= 2;
  gpu.upload(params, gpu.packParams(kernel, { n }));
  launch(gpu, kernel, { y, params }, 1);
  const start = performance.now();
  gpu.dispose();
  const blocked = performance.now() - start;
  assert.ok(blocked < 100, `dispose took ${blocked} ms`);
  await fails(() => gpu.check(), "E_DISPOSED");
  assert.is((await gpu.lost).reason, "destroyed");
});

gpuTest(test, "the device is disposed at the end of a `using` scope", async () => {
  let kept: Gpu | undefined;
  {
    using gpu = await openGpuInNode();
    kept = gpu;
    await gpu.wait();
  }
  await fails(() => kept?.check(), "E_DISPOSED");
});

gpuTest(test, "two devices work side by side, and mixing them up is a clear error", async (gpu) => {
  const other = await openGpuInNode({ label: "the other" });
  try {
    const [a, b] = [gpu, other].map((g, i) => {
      const buffer = g.createBuffer(`of ${i}`, 16, STORAGE_USAGE);
      g.upload(buffer, new Uint32Array(4).fill(i + 1));
      return buffer;
    });
    assert.is(new Uint32Array(await gpu.read(a!))[3], 1);
    assert.is(new Uint32Array(await other.read(b!))[3], 2);
    await fails(() => other.read(a!), "E_GPU", /the other/);
    await other.wait().catch(() => {});
    await gpu.destroyBuffers([a!, b!]); // b is a stranger here, and stays
    assert.is(new Uint32Array(await other.read(b!))[3], 2);
  } finally {
    other.dispose();
  }
});

gpuTest(test, "a caller's own device is used and never destroyed", async () => {
  const owner = await openGpuInNode();
  const gpu = await openGpu({ device: owner.device, label: "borrowed" });
  assert.is(gpu.adapter.description, owner.adapter.description);
  const ours = gpu.createBuffer("ours", 16, STORAGE_USAGE);
  const theirs = owner.createBuffer("theirs", 16, STORAGE_USAGE);
  gpu.dispose();
  await fails(() => gpu.read(ours), "E_DISPOSED", /borrowed/);
  owner.upload(theirs, new Uint32Array([5]));
  assert.is(new Uint32Array(await owner.read(theirs))[0], 5);
  assert.is(await Promise.race([owner.lost, Promise.resolve("alive")]), "alive");
  owner.dispose();
});

test.run();
