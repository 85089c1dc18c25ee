import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openModel } from "../../src/io/files.ts";
import { keptWeights, secateur, succeeds } from "../support/command-line.ts";
import { gpuTest } from "../support/gpu.ts";

const cli = suite("whole pruning runs on the command line");
const _root = fileURLToPath(new URL("../../", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "secateur-runs-"));
const at = (name: string): string => join(dir, name);

// biome-ignore lint/suspicious/noExplicitAny: what a command wrote, looked at field by field
const json = (name: string): any => JSON.parse(readFileSync(at(name), "utf8"));

const kept = (file: string): Promise<Record<string, number>> => keptWeights(at(file));

gpuTest(cli, "rounds of pruning and training, and a method that trains, from one command", async () => {
  const common = ["--data", "glyphs", "--limit", "200", "--batch", "25", "--retrain", "1", "--quiet"];
  succeeds(
    ...["prune", "lenet300", "--sparsity", "0.75", "--rounds", "2", ...common],
    ...["-o", at("rounds.safetensors"), "--json", at("rounds.json")],
  );
  const rounds = json("rounds.json");
  assert.equal(
    rounds.steps.map((s: { kind: string }) => s.kind),
    ["prune", "train", "prune", "train"],
  );
  assert.ok(Math.abs(rounds.rounds[0].sparsity - 0.5) < 1e-4);
  const sum = Object.values(await kept("rounds.safetensors")).reduce((a, b) => a + b, 0);
  assert.is(sum, 66_550);
  succeeds(
    ...["prune", "lenet300", "--method", "gradual", "--sparsity", "0.8", "--set", "end=0.5", ...common],
    ...["-o", at("gradual.safetensors"), "--json", at("gradual.json")],
  );
  assert.is(json("gradual.json").steps.at(-1).options.recipe, "gradual");
});

gpuTest(cli, "a manifest repeats to the same result, and only on the same model and data", async () => {
  const data = ["--data", "glyphs", "--limit", "120", "--quiet"];
  succeeds(
    ...[
      "prune",
      "lenet300",
      "--method",
      "snip",
      "--sparsity",
      "0.6",
      "--seed",
      "3",
      "--retrain",
      "1",
      ...data,
    ],
    ...["--batch", "24", "-o", at("first.safetensors")],
  );
  const manifest = at("first.safetensors.manifest.json");
  const repeat = ["prune", "lenet300", "--repeat", manifest, "-o", at("again.safetensors")];
  succeeds(...repeat, ...data);
  const [first, again] = await Promise.all(
    ["first", "again"].map((name) => openModel(at(`${name}.safetensors`))),
  );
  for (const [name, w] of first!.weights) assert.equal(again!.weights.get(name), w, name);
  assert.equal([...again!.masks], [...first!.masks]);
  const other = secateur(...repeat, "--seed", "4", ...data);
  assert.is(other.status, 1);
  assert.match(other.err, /the model has hash/);
  const fewer = secateur(...repeat, "--data", "glyphs", "--limit", "119");
  assert.is(fewer.status, 1);
  assert.match(fewer.err, /the data has hash/);
});

gpuTest(cli, "random and magnitude run beside any method", async () => {
  const out = succeeds(
    ...[
      "prune",
      "glyphnet",
      "--method",
      "sparsegpt",
      "--sparsity",
      "0.5",
      "--data",
      "glyphs",
      "--limit",
      "100",
    ],
    ...["--images", "20", "--baselines", "-o", at("beside.safetensors"), "--json", at("beside.json")],
  );
  const { top1, baselines } = json("beside.json");
  assert.equal(
    baselines.map((b: { method: string }) => b.method),
    ["random", "magnitude"],
  );
  assert.ok(top1 > baselines[0].top1.mean + 0.1, JSON.stringify([top1, baselines]));
  assert.match(out, /beside it, random: test top-1/);
});

cli.after(() => rmSync(dir, { recursive: true, force: true }));
cli.run();
