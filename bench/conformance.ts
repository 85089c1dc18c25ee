// Prints the score on the ONNX project's single-op cases: `npm run conformance [-- DIR]`.
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { openGpuInNode } from "../src/gpu/dawn.ts";
import { type CaseResult, runCase } from "./conformance-case.ts";

const dir = resolve(process.argv[2] ?? "../shared/onnx-conformance/node");
let names: string[];
try {
  names = readdirSync(dir).sort();
} catch {
  console.error(`no conformance cases at ${dir}. Give the folder of test_* cases as the argument.`);
  process.exit(1);
}
const gpu = await openGpuInNode({});
const results: CaseResult[] = [];
for (const name of names) results.push(await runCase(gpu, join(dir, name), name));
const by = (kind: CaseResult["kind"]): CaseResult[] => results.filter((r) => r.kind === kind);
for (const r of by("failed")) console.log(`FAILED  ${r.name}: ${r.detail}`);
for (const r of by("unsupported")) console.log(`refused ${r.name}: ${r.detail}`);
console.log(
  `conformance on ${gpu.adapter.description}: ${by("passed").length} passed, ${by("unsupported").length} refused as unsupported, ${by("failed").length} failed of ${results.length}`,
);
gpu.dispose();
process.exit(by("failed").length === 0 ? 0 : 1);
