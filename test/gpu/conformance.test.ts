import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type CaseResult, runCase } from "../../bench/conformance-case.ts";
import { gpuTest } from "../support/gpu.ts";
import { skip } from "../support/skip.ts";

const conformance = suite("conformance");
const dir = fileURLToPath(new URL("../../../shared/onnx-conformance/node", import.meta.url));

/** Cases of claimed ops that ask for a mode that is not offered. */
const notOffered = /^test_resize_.*(cubic|antialias)/;

if (existsSync(dir)) {
  gpuTest(
    conformance,
    "every claimed ONNX case passes on the GPU, the others are refused by name",
    async (gpu) => {
      const results: CaseResult[] = [];
      for (const name of readdirSync(dir).sort()) results.push(await runCase(gpu, join(dir, name), name));
      const faults = results.filter((r) =>
        notOffered.test(r.name) ? r.kind !== "unsupported" : r.kind !== "passed",
      );
      assert.equal(
        faults.map((r) => `${r.name}: ${r.kind} ${r.detail}`),
        [],
      );
      assert.ok(results.filter((r) => r.kind === "passed").length >= 300);
    },
  );
} else {
  conformance("ONNX cases", () => skip("the ONNX conformance cases", "../shared/onnx-conformance is absent"));
}

conformance.run();
