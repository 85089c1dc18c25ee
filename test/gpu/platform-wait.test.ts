import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openGpuInNode } from "../../src/gpu/dawn.ts";
import { createTimer } from "../../src/gpu/timer.ts";
import { STORAGE_USAGE, UNIFORM_USAGE } from "../../src/gpu/usage.ts";
import { paced } from "../../src/gpu/wait/pacing.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";
import { launch } from "../support/launch.ts";
import { skip } from "../support/skip.ts";

const test = suite("platform: waiting and timing");

test("pacing replaces setImmediate only while a promise is pending, and puts it back", async () => {
  const { setImmediate, clearImmediate } = globalThis;
  let finish = (): void => {};
  const outer = paced(
    () =>
      new Promise<void>((resolve) => {
        finish = resolve;
      }),
  );
  assert.is.not(globalThis.setImmediate, setImmediate);
  await paced(async () => {});
  assert.is.not(globalThis.setImmediate, setImmediate, "the other promise is still pending");
  finish();
  await outer;
  assert.is(globalThis.setImmediate, setImmediate);
  assert.is(globalThis.clearImmediate, clearImmediate);
  await paced(async () => {
    throw new Error("expected");
  }).catch(() => {});
  assert.is(globalThis.setImmediate, setImmediate, "also after a failure");
});

test("while paced, immediates still run and can still be cleared", async () => {
  const ran: string[] = [];
  const before = setImmediate(() => ran.push("cleared, made before"));
  await paced(async () => {
    const during = setImmediate(() => ran.push("cleared"));
    setImmediate((word: string) => ran.push(word), "kept");
    clearImmediate(during);
    clearImmediate(before);
    await new Promise((resolve) => setTimeout(resolve, 20));
  });
  assert.equal(ran, ["kept"]);
});

test("someone else's replacement made meanwhile is left alone", async () => {
  const original = globalThis.setImmediate;
  const theirs = ((run: () => void) => original(run)) as typeof setImmediate;
  await paced(async () => {
    globalThis.setImmediate = theirs;
  });
  assert.is(globalThis.setImmediate, theirs);
  globalThis.setImmediate = original;
});

gpuTest(test, "waiting leaves setImmediate as it was, and on software it is paced", async (gpu) => {
  const original = globalThis.setImmediate;
  const waiting = gpu.wait();
  assert.is(globalThis.setImmediate !== original, gpu.adapter.software);
  await waiting;
  assert.is(globalThis.setImmediate, original);
  const buffer = gpu.createBuffer("b", 16, STORAGE_USAGE);
  await gpu.read(buffer);
  await gpu.destroyBuffers([buffer]);
  await fails(() => gpu.read(buffer, -1), "E_GPU");
  assert.is(globalThis.setImmediate, original);
});

gpuTest(test, "waiting on a software adapter does not burn a core", async (gpu) => {
  if (!gpu.adapter.software) return;
  let over = false;
  const idle = gpu.paced(async () => {
    while (!over) await new Promise((resolve) => globalThis.setImmediate(resolve)); // as Dawn polls
  });
  const start = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const used = process.cpuUsage(start);
  over = true;
  await idle;
  const ms = (used.user + used.system) / 1000;
  assert.ok(ms < 150, `300 ms of waiting took ${ms} ms of processor time`);
});

gpuTest(test, "timestamps are not rounded, and agree with the clock", async (gpu) => {
  const timer = createTimer(gpu, 8);
  if (timer === undefined) {
    skip("timestamps", "the adapter has no timestamp-query");
    return;
  }
  const n = 1 << 20;
  const kernel = await gpu.compile("gpu/self-test");
  const buffers = {
    x: gpu.createBuffer("x", n * 4, STORAGE_USAGE),
    y: gpu.createBuffer("y", n * 4, STORAGE_USAGE),
    sums: gpu.createBuffer("sums", n / 16, STORAGE_USAGE),
    params: gpu.createBuffer("params", 16, UNIFORM_USAGE),
  };
  gpu.upload(buffers.params, gpu.packParams(kernel, { n, scale: 1 }));
  launch(gpu, kernel, buffers, n / 64);
  await gpu.wait();
  const start = performance.now();
  for (let i = 0; i < 8; i++) launch(gpu, kernel, buffers, n / 64, timer.writes(i));
  const times = await timer.resolve();
  const wall = (performance.now() - start) * 1e6;
  assert.is(times.length, 8);
  assert.ok(
    times.every((ns) => ns > 0),
    `times: ${times}`,
  );
  assert.ok(
    times.some((ns) => ns % 65_536 !== 0),
    `all are multiples of 65,536 ns: ${times}`,
  );
  assert.ok(times.reduce((a, b) => a + b) < wall * 1.1, `${times} ns in ${wall} ns`);
  timer.dispose();
  await gpu.destroyBuffers(Object.values(buffers));
});

gpuTest(test, "a timer refuses counts that no query set holds", async (gpu) => {
  if (!gpu.device.features.has("timestamp-query")) return;
  for (const spans of [0, -1, 1.5, 2049, Number.NaN])
    await fails(() => createTimer(gpu, spans), "E_GPU", /spans/);
  createTimer(gpu, 2048)?.dispose();
});

gpuTest(test, "a wait that takes too long ends in E_TIMEOUT, and the work goes on", async () => {
  const gpu = await openGpuInNode({ label: "slow" });
  const never = gpu.device.queue.onSubmittedWorkDone;
  gpu.device.queue.onSubmittedWorkDone = () => new Promise(() => {});
  try {
    await fails(() => gpu.wait({ timeoutMs: 30 }), "E_TIMEOUT", /slow did not end within 30 ms/);
  } finally {
    gpu.device.queue.onSubmittedWorkDone = never;
  }
  await gpu.wait({ timeoutMs: 10_000 });
  gpu.dispose();
});

test.run();
