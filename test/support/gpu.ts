import type { Test } from "uvu";
import { SecateurError } from "../../src/errors.ts";
import { openGpuInNode } from "../../src/gpu/dawn.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { skip } from "./skip.ts";

/** No GPU test may take longer: an endless shader would otherwise hang the run. */
const TEST_TIMEOUT_MS = 120_000;

let shared: Promise<Gpu | undefined> | undefined;

/** The process's one Gpu; undefined, once the reason has been printed, where no adapter exists. */
export function sharedGpu(): Promise<Gpu | undefined> {
  shared ??= openGpuInNode({ label: "the test GPU" }).catch((error: unknown) => {
    if (!(error instanceof SecateurError) || error.code !== "E_NO_ADAPTER") throw error;
    if (process.env.SECATEUR_REQUIRE_GPU === "1") throw error;
    return undefined;
  });
  return shared;
}

/**
 * A test on the process's one Gpu. It fails on any error that the device reports, also one that nothing awaited. Without
 * an adapter it is skipped loudly, or fails if `SECATEUR_REQUIRE_GPU=1`.
 */
export function gpuTest<T>(suite: Test<T>, name: string, run: (gpu: Gpu) => Promise<void> | void): void {
  suite(name, async () => {
    const gpu = await sharedGpu();
    if (gpu === undefined) {
      skip(name, "no GPU adapter; run `npm run setup`");
      return;
    }
    try {
      await withTimeout(Promise.resolve(run(gpu)), TEST_TIMEOUT_MS, name);
    } catch (error) {
      await gpu.wait({ timeoutMs: TEST_TIMEOUT_MS }).catch(() => {}); // the next test starts clean
      throw error;
    }
    await gpu.wait({ timeoutMs: TEST_TIMEOUT_MS });
  });
}

/** Rejects when a promise takes longer than it may. */
export async function withTimeout<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
