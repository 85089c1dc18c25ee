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
  readonly problem?: string;
  readonly node: string;
  /** Of the package webgpu, which holds Dawn. */
  readonly dawn: string;
  readonly platform: string;
  /** The same for people, several lines. */
  readonly text: string;
}

/** Opens the GPU and lets it compute something that the CPU checks. Never throws: what went wrong is in the report. */
export async function examine(options: OpenOptions = {}): Promise<DoctorReport> {
  const report = await look(options);
  return { ...report, text: describe(report) };
}

async function look(options: OpenOptions): Promise<Omit<DoctorReport, "text">> {
  const versions = {
    node: process.version,
    dawn: dawnVersion(),
    platform: `${process.platform} ${process.arch}`,
  };
  let gpu: Gpu | undefined;
  try {
    gpu = await openGpuInNode(options);
    const result = await selfTest(gpu);
    const problem = result.passed ? {} : { problem: `this adapter computes wrongly: ${result.message}.` };
    return { ok: result.passed, adapter: gpu.adapter, selfTest: result, ...problem, ...versions };
  } catch (error) {
    return {
      ok: false,
      ...(gpu && { adapter: gpu.adapter }),
      problem: (error as Error).message,
      ...versions,
    };
  } finally {
    gpu?.dispose();
  }
}

function describe({ adapter, selfTest, problem, node, dawn, platform }: Omit<DoctorReport, "text">): string {
  const rows: [string, string][] = [];
  if (adapter) {
    const { limits } = adapter;
    const mib = (name: string): string => `${Math.floor((limits[name] ?? 0) / 2 ** 20)} MiB`;
    rows.push(
      ["adapter", adapter.description || adapter.device || "unnamed"],
      ["kind", adapter.software ? "software: for correctness and ratios, not for milliseconds" : "hardware"],
      ["features", adapter.features.join(", ")],
      ["largest buffer", `${mib("maxBufferSize")}, ${mib("maxStorageBufferBindingSize")} in one binding`],
      [
        "workgroup",
        `${limits["maxComputeInvocationsPerWorkgroup"]} threads, ${limits["maxComputeWorkgroupStorageSize"]} bytes`,
      ],
      [
        "matrix units",
        adapter.matrices?.map(({ m, n, k }) => `${m} x ${n} x ${k}`).join(", ") ?? "none in half precision",
      ],
      ["bindings", `${limits["maxStorageBuffersPerShaderStage"]} storage buffers`],
    );
  }
  if (selfTest) {
    const gpuTime = selfTest.gpuMs === undefined ? "" : `, ${selfTest.gpuMs.toFixed(2)} ms on the GPU`;
    const outcome = selfTest.passed
      ? `passed: ${selfTest.elements} elements exact`
      : `FAILED: ${selfTest.message}`;
    rows.push(["self-test", `${outcome} (${selfTest.ms.toFixed(2)} ms${gpuTime})`]);
  }
  rows.push(["versions", `Node ${node}, webgpu ${dawn}, ${platform}`]);
  if (problem) rows.push(["problem", problem]);
  return rows.map(([name, value]) => `${name.padEnd(15)} ${value}`).join("\n");
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
