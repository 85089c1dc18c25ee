import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { AdapterFacts } from "./adapter.ts";
import { openGpuInNode } from "./dawn.ts";
import type { Gpu } from "./gpu.ts";
import type { OpenOptions } from "./open.ts";
import { type SelfTest, selfTest } from "./self-test.ts";

export interface DoctorReport {
  /** Is there an adapter, and does it compute what it should? */
  readonly ok: boolean;
  readonly adapter?: AdapterFacts;
  readonly selfTest?: SelfTest;
  /** Why not `ok`. */
  readonly error?: { readonly code: string; readonly message: string };
  readonly node: string;
  /** Of the package webgpu, which holds Dawn. */
  readonly dawn: string;
  readonly platform: string;
}

/** Opens the GPU and lets it compute something that the CPU checks. Never throws: what went wrong is in the report. */
export async function examine(options: OpenOptions = {}): Promise<DoctorReport> {
  const versions = {
    node: process.version,
    dawn: dawnVersion(),
    platform: `${process.platform} ${process.arch}`,
  };
  let gpu: Gpu | undefined;
  try {
    gpu = await openGpuInNode(options);
    const result = await selfTest(gpu);
    const error = result.passed
      ? {}
      : { error: { code: "E_VERIFY", message: `the self-test failed: ${result.message}` } };
    return { ok: result.passed, adapter: gpu.adapter, selfTest: result, ...error, ...versions };
  } catch (error) {
    const { code = "E_INTERNAL", message } = error as { code?: string; message: string };
    return { ok: false, ...(gpu && { adapter: gpu.adapter }), error: { code, message }, ...versions };
  } finally {
    gpu?.dispose();
  }
}

function dawnVersion(): string {
  try {
    const entry = createRequire(import.meta.url).resolve("webgpu");
    return (JSON.parse(readFileSync(join(dirname(entry), "package.json"), "utf8")) as { version: string })
      .version;
  } catch {
    return "not installed";
  }
}
