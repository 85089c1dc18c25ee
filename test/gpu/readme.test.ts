import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { gpuTest } from "../support/gpu.ts";
import { readmeExamples } from "../support/readme.ts";

const readme = suite("README");

/** What each example prints, in order. */
const prints: readonly (readonly RegExp[])[] = [
  [/plan: measured/, /dense [\d.]+ ms, sparse [\d.]+ ms/],
  [/top1: [\d.]+, loss: [\d.]+, epoch: [12] }/],
];

readme("every example is run", () => assert.is(readmeExamples().length, prints.length));

for (const [i, expected] of prints.entries()) {
  gpuTest(readme, `library example ${i + 1} runs as written`, async () => {
    const example = readmeExamples()[i]!;
    assert.ok(example.trim().split("\n").length <= 30, "the example has grown beyond a screen");
    const root = fileURLToPath(new URL("../../", import.meta.url));
    const file = `${root}test/.readme-example-${process.pid}.ts`;
    writeFileSync(file, example.replace('from "secateur"', 'from "../src/node.ts"'));
    try {
      const run = spawnSync(process.execPath, ["--import", "tsx", file], {
        cwd: root,
        encoding: "utf8",
        timeout: 120_000,
      });
      assert.is(run.status, 0, run.stderr);
      for (const pattern of expected) assert.match(run.stdout, pattern);
    } finally {
      rmSync(file, { force: true });
    }
  });
}

readme.run();
