import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isSoftware, refuseNullBackend } from "../../src/gpu/adapter.ts";
import { examine } from "../../src/gpu/doctor.ts";
import { ensureDriver } from "../../src/gpu/driver/ensure.ts";
import { probeAdapter } from "../../src/gpu/driver/probe.ts";
import { selfTest } from "../../src/gpu/self-test.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("platform: doctor");

gpuTest(
  test,
  "the report names the adapter, its limits and versions, and proves that it computes",
  async (gpu) => {
    const report = await examine();
    assert.is(report.ok, true, report.text);
    assert.is(report.adapter?.description, gpu.adapter.description);
    assert.is(report.adapter?.key, gpu.adapter.key);
    assert.match(gpu.adapter.key, /^[a-z0-9-]+-[0-9a-f]{8}$/);
    assert.ok(report.selfTest!.elements > 65_535 && report.selfTest!.ms > 0);
    assert.match(report.dawn, /^\d+\.\d+\.\d+/);
    assert.match(report.text, gpu.adapter.description);
    assert.match(report.text, "passed: 200003 elements exact");
    assert.equal(JSON.parse(JSON.stringify(report)), report);
  },
);

gpuTest(test, "an adapter that computes wrongly is found out", async (gpu) => {
  const wrong = { ...gpu };
  wrong.upload = (buffer, data, at) => {
    const bytes = new Uint8Array(data.buffer.slice(0)) as Uint8Array<ArrayBuffer>;
    if (bytes.length > 1000) bytes[4 * 777 + 2] = bytes[4 * 777 + 2]! ^ 1; // one bit of one element
    gpu.upload(buffer, bytes, at);
  };
  const result = await selfTest(wrong, 5000);
  assert.is(result.passed, false);
  assert.match(result.message, /element 777 is/);
  assert.is((await selfTest(gpu, 1)).passed, true);
});

gpuTest(test, "the features asked for are there where the adapter has them", async (gpu) => {
  for (const name of gpu.adapter.features) assert.ok(gpu.device.features.has(name));
  assert.is(gpu.adapter.limits["maxStorageBufferBindingSize"], gpu.device.limits.maxStorageBufferBindingSize);
  if (gpu.adapter.description.includes("llvmpipe")) {
    for (const name of ["timestamp-query", "shader-f16", "subgroups"])
      assert.ok(gpu.adapter.features.includes(name));
    assert.is(gpu.adapter.limits["maxComputeInvocationsPerWorkgroup"], 1024);
  }
});

gpuTest(test, "where an adapter is there, ensureDriver changes nothing", async (gpu) => {
  const log: string[] = [];
  const outcome = await ensureDriver((line) => log.push(line));
  assert.ok(outcome.description.length > 0);
  assert.is(log.length, 1, log.join("\n"));
  assert.match(log[0]!, gpu.adapter.description);
});

test("software adapters are told from hardware", () => {
  assert.ok(isSoftware({ vendor: "mesa", device: "llvmpipe-llvm-15-0-6-256-bits-" }));
  assert.ok(isSoftware({ description: "SwiftShader driver 5.0.0" }));
  assert.ok(isSoftware({ description: "Microsoft Basic Render Driver" }));
  assert.ok(isSoftware({ description: "anything", isFallbackAdapter: true }));
  assert.not.ok(isSoftware({ vendor: "nvidia", architecture: "hopper", description: "NVIDIA H200: 560.1" }));
  assert.not.ok(isSoftware({ vendor: "amd", description: "AMD Radeon Graphics (RADV WARPSPEED)" }));
  assert.not.ok(isSoftware({}));
});

test("the null backend is refused by its name", async () => {
  await fails(() => refuseNullBackend({ device: "null-backend" }), "E_NO_ADAPTER", /executes nothing/);
  refuseNullBackend({ device: "llvmpipe" });
});

test("a probe without a driver says why, in a process of its own", async () => {
  const env = {
    VK_DRIVER_FILES: "/nonexistent",
    VK_ICD_FILENAMES: "/nonexistent",
    XDG_CACHE_HOME: "/nonexistent",
    SECATEUR_DRIVER: "",
  };
  const probe = await probeAdapter(env);
  if (process.platform !== "linux") return;
  assert.is(probe.found, false);
  assert.match(probe.found ? "" : probe.why, /no GPU adapter was found/);
});

test.run();
