import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { gpuTest } from "../support/gpu.ts";
import { readmeExample } from "../support/readme.ts";

const readme = suite("README");

gpuTest(readme, "the library example runs as written", async () => {
  const example = readmeExample();
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
    assert.match(run.stdout, /plan: measured/);
    assert.match(run.stdout, /dense [\d.]+ ms, sparse [\d.]+ ms/);
  } finally {
    rmSync(file, { force: true });
  }
});

readme.run();
