import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { hasSwiftShader } from "../../src/gpu/driver/swiftshader.ts";
import { runChild } from "../support/child.ts";
import { sharedGpu } from "../support/gpu.ts";
import { skip } from "../support/skip.ts";

const OPEN = `import { openGpuInNode } from "./src/gpu/dawn.ts";
import { STORAGE_USAGE } from "./src/gpu/usage.ts";
`;
const WORK = `${OPEN}
const gpu = await openGpuInNode();
const buffer = gpu.createBuffer("b", 1 << 20, STORAGE_USAGE);
for (let i = 0; i < 20; i++) gpu.upload(buffer, new Uint8Array(1 << 20));
gpu.submit([]);
`;
/** May end, says the compiler; never does. */
const ENDLESS = `${WORK}
import { shaderFrom } from "./test/support/shader.ts";
import { launch } from "./test/support/launch.ts";
const kernel = await gpu.compile(shaderFrom("endless", \`// test/endless: never ends.
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1)
fn main() { while (y[0] < 5u) { y[1] = y[1] + 1u; y[0] = y[1] & 1u; } }
\`));
launch(gpu, kernel, { y: buffer }, 1);
try {
  await gpu.wait({ timeoutMs: 300 });
} catch (error) {
  console.error("RESULT " + error.code);
}
`;
const NOWHERE = { VK_DRIVER_FILES: "/nonexistent", VK_ICD_FILENAMES: "/nonexistent" };

const test = suite("platform: processes");

test.before(async () => {
  if ((await sharedGpu()) === undefined)
    skip("platform: processes, in part", "no GPU adapter; run `npm run setup`");
});

/** Runs children beside each other and compares their exit codes. */
async function expectCodes(
  cases: Readonly<Record<string, readonly [number, Parameters<typeof runChild>[0], string[]?]>>,
): Promise<void> {
  if ((await sharedGpu()) === undefined) return;
  const rows = await Promise.all(
    Object.entries(cases).map(async ([name, [code, text, flags]]) => {
      const result = await runChild(text, flags ? { flags } : {});
      return { name, code, ...{ got: result.code, output: result.output } };
    }),
  );
  for (const { name, code, got, output } of rows)
    assert.is(got, code, `${name} ended with ${got}, not ${code}:\n${output}`);
}

test("a process ends at once and with its own code, whatever the GPU is doing", async () => {
  await expectCodes({
    "falling off the end with the device open": [0, WORK],
    "the same, disposed": [0, `${WORK} gpu.dispose();`],
    "disposed while a read is pending": [0, `${WORK} gpu.read(buffer).catch(() => {}); gpu.dispose();`],
    "exit with work in flight": [9, `${WORK} process.exit(9);`],
    "an exception that nobody caught": [1, `${WORK} throw new Error("expected");`],
  });
});

// Dawn's own threads go on compiling while the C library tears the process down; in about one of three such exits they find
// its tables gone, print a SPIR-V error and end the process with 1 (webgpu 0.6.2, Mesa 25.0). It still ends, and at once.
test("a process that exits during many compilations ends at once, with its own code or Dawn's", async () => {
  if ((await sharedGpu()) === undefined) return;
  const { code, output } = await runChild(
    `${WORK} for (let i = 1; i <= 40; i++) gpu.compile("gpu/self-test", { constants: { WG_SIZE: i } }).catch(() => {});
     setTimeout(() => process.exit(3), 5);`,
    { timeoutMs: 20_000 },
  );
  assert.ok(code === 3 || code === 1, `ended with ${code}:\n${output}`);
});

test("the instance outlives the garbage collector", async () => {
  const collect = "for (let i = 0; i < 20; i++) { gc(); await new Promise((r) => setTimeout(r, 5)); }";
  const again =
    "await gpu.wait(); gpu.dispose(); const next = await openGpuInNode(); await next.wait(); next.dispose();";
  await expectCodes({
    "collecting between uses": [0, `${WORK} ${collect} ${again} ${collect}`, ["--expose-gc"]],
  });
});

test("an endless shader ends in E_TIMEOUT, and the process can still leave", async () => {
  if ((await sharedGpu()) === undefined) return;
  const { code, output } = await runChild(`${ENDLESS} gpu.dispose(); process.exit(7);`, {
    timeoutMs: 30_000,
  });
  assert.is(code, 7, output);
  assert.match(output, "RESULT E_TIMEOUT");
});

test("errors of the device print nothing on standard output", async () => {
  if ((await sharedGpu()) === undefined) return;
  const text = `${WORK}
gpu.device.createBuffer({ size: 16, usage: 0xffff });
await gpu.wait().catch((error) => console.error("RESULT " + error.code));
gpu.device.createBuffer({ size: 16, usage: 0xffff });
gpu.dispose();
await new Promise((r) => setTimeout(r, 50));
`;
  const { code, output } = await runChild(text);
  assert.is(code, 0, output);
  assert.match(output, "RESULT E_GPU");
  assert.not.match(output, /^validation:/m);
});

test("without a driver the error says what to do", async () => {
  const cache = mkdtempSync(join(tmpdir(), "secateur-test-"));
  try {
    const text = `${OPEN} await openGpuInNode().catch((error) => { console.error(error.code, error.message); process.exit(4); });`;
    const bare = await runChild(text, { env: { ...NOWHERE, XDG_CACHE_HOME: cache, SECATEUR_DRIVER: "" } });
    assert.is(bare.code, 4, bare.output);
    assert.match(bare.output, /E_NO_ADAPTER .*npx secateur doctor --fix/);
    const missing = await runChild(text, { env: { XDG_CACHE_HOME: cache, SECATEUR_DRIVER: "swiftshader" } });
    assert.is(missing.code, 4, missing.output);
    assert.match(missing.output, /E_NO_ADAPTER SECATEUR_DRIVER=swiftshader.*doctor --fix/);
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
});

test("our SwiftShader is used when asked for, and when there is nothing else", async () => {
  if (!hasSwiftShader()) {
    skip(
      "SwiftShader as a second driver",
      "not installed; run SECATEUR_DRIVER=swiftshader npx secateur doctor --fix",
    );
    return;
  }
  const text = `import { examine } from "./src/gpu/doctor.ts";
const report = await examine();
console.error("RESULT", report.ok, report.adapter?.description, report.adapter?.software, report.problem);
`;
  for (const env of [{ SECATEUR_DRIVER: "swiftshader" }, { ...NOWHERE, SECATEUR_DRIVER: "" }]) {
    const { code, output } = await runChild(text, { env });
    assert.is(code, 0, output);
    assert.match(output, /RESULT true SwiftShader.* true undefined/);
  }
});

test("Dawn's null backend is refused", async () => {
  const text = `import { create } from "webgpu";
import { openFrom } from "./src/gpu/open.ts";
globalThis.kept = create(["backend=null"]);
await openFrom(kept, {}, "none").catch((error) => { console.error(error.code, error.message); process.exit(5); });
`;
  const { code, output } = await runChild(text);
  assert.is(code, 5, output);
  assert.match(output, /E_NO_ADAPTER .*null backend/);
});

test("hardware is not replaced by software where hardware was asked for", async () => {
  const gpu = await sharedGpu();
  if (gpu === undefined) return;
  const text = `${OPEN} await openGpuInNode({ adapter: "hardware" }).catch((error) => { console.error(error.code, error.message); process.exit(6); });`;
  const { code, output } = await runChild(text);
  if (!gpu.adapter.software) return assert.is(code, 0, output);
  assert.is(code, 6, output);
  assert.match(output, /E_NO_ADAPTER a hardware adapter was asked for, but there is only/);
});

test("a worker thread can open a device of its own", async () => {
  await expectCodes({
    "two workers": [
      0,
      `import { Worker } from "node:worker_threads";
const body = \`(async () => {
  (await import("tsx/esm/api")).register();
  const { openGpuInNode } = await import("./src/gpu/dawn.ts");
  const gpu = await openGpuInNode(); await gpu.wait(); gpu.dispose(); })();\`;
const workers = [0, 1].map(() => new Worker(body, { eval: true }));
await Promise.all(workers.map((w) => new Promise((done, fail) => { w.on("error", fail); w.on("exit", (c) => c ? fail(new Error("code " + c)) : done()); })));
`,
    ],
  });
});

test.run();
