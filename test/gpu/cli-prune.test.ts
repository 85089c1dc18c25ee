import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { keptWeights, secateur, succeeds } from "../support/command-line.ts";
import { gpuTest } from "../support/gpu.ts";

const cli = suite("prune on the command line");
const _root = fileURLToPath(new URL("../../", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "secateur-prune-"));
const at = (name: string): string => join(dir, name);

// biome-ignore lint/suspicious/noExplicitAny: what a command wrote, looked at field by field
const json = (name: string): any => JSON.parse(readFileSync(at(name), "utf8"));

const kept = (file: string): Promise<Record<string, number>> => keptWeights(at(file));

cli("methods lists every method with kind, granularity and reference", () => {
  const out = succeeds("methods", "--json", at("methods.json"));
  const list = json("methods.json");
  for (const m of list) {
    assert.type(m.name, "string");
    assert.ok(["baseline", "weights", "data", "training"].includes(m.kind));
    assert.ok(Array.isArray(m.granularity) && m.granularity.length > 0 && m.reference.length > 20);
    assert.match(out, m.name);
  }
  assert.ok(list.length >= 17);
});

cli("N:M needs no sparsity, lists and published lists go by layer", async () => {
  succeeds("prune", "lenet300", "--granularity", "2:4x8", "-o", at("groups.safetensors"), "--quiet");
  assert.equal(await kept("groups.safetensors"), {
    "ip1.weight": 117_600,
    "ip2.weight": 15_000,
    "ip3.weight": 500,
  });
  succeeds("prune", "lenet300", "--sparsity", "ip1=0.5,ip3.weight=0.1", "-o", at("list.onnx"), "--quiet");
  assert.equal(await kept("list.onnx"), { "ip1.weight": 117_600, "ip2.weight": 30_000, "ip3.weight": 900 });
  succeeds(
    "prune",
    "lenet300",
    "--sparsity",
    "0.9",
    "--allocation",
    "erk",
    "-o",
    at("erk.safetensors"),
    "--quiet",
  );
  const erk = Object.values(await kept("erk.safetensors"));
  assert.is(
    erk.reduce((a, b) => a + b, 0),
    26_620,
  );
});

cli("wrong usage says what to give", () => {
  const cases: readonly (readonly [RegExp, ...string[]])[] = [
    [/--sparsity is missing/, "lenet300"],
    [/method wanda looks at images: give --data/, "lenet300", "--method", "wanda", "--sparsity", "0.5"],
    [/--retrain looks at images: give --data/, "lenet300", "--sparsity", "0.5", "--retrain", "2"],
    [
      /--latency-batch goes with --target-ms, --max-drop or --seeds/,
      "lenet300",
      "--sparsity",
      "0.5",
      "--latency-batch",
      "8",
    ],
    [/--lr says how to train: give --retrain/, "lenet300", "--sparsity", "0.5", "--lr", "0.1"],
  ];
  for (const [words, ...args] of cases) {
    const run = secateur("prune", ...args, "-o", at("never.onnx"));
    assert.is(run.status, 2, `${args.join(" ")}: ${run.err}`);
    assert.match(run.err, words);
  }
  const unknown = secateur("prune", "vgg16", "--sparsity", "published:han", "-o", at("never.onnx"));
  assert.is(unknown.status, 1);
  assert.match(unknown.err, /lenet300 and lenet5/);
  const filters = ["--sparsity", "published:hrank-resnet56-62.72M", "-o", at("never.onnx")];
  assert.match(secateur("prune", "resnet56", "--granularity", "2:4", ...filters).err, /rates of filters/);
  assert.match(secateur("prune", "vgg16", ...filters).err, /are for resnet56, not for vgg16/);
  assert.not(existsSync(at("never.onnx")));
});

cli("published rates of filters: what they remove, and what they cannot, is said", async () => {
  const out = succeeds(
    ...["prune", "resnet56", "--sparsity", "published:hrank-resnet56-62.72M", "-o", at("hrank.safetensors")],
    ...["--json", at("hrank.json")],
  );
  // Inside the blocks alone, HRank's rates leave 65,065,600 of 125,485,696 MACs.
  assert.match(out, /rates of 27 convolutions are left out/);
  assert.match(out, /MACs\s+125,485,696 -> 65,065,600/);
  assert.is(json("hrank.json").steps[0].options.rounding, "removed");
  assert.match(succeeds("methods"), /published:hrank-resnet56-62\.72M\s+resnet56\s+62\.72M\s+0\.49M/);
});

gpuTest(cli, "evidence, recovery and a measurement in one line", async () => {
  const out = succeeds(
    ...["prune", "glyphnet", "--method", "wanda", "--sparsity", "0.5", "--recover", "bias", "--recalibrate"],
    ...["--data", "glyphs", "--limit", "200", "--images", "16", "-o", at("wanda.safetensors")],
    ...["--json", at("wanda.json")],
  );
  const record = json("wanda.json");
  assert.is(record.steps[0].options.method, "wanda");
  assert.is(record.steps[0].options.scope, "row");
  assert.is(record.steps[0].options.recover, "bias");
  assert.is(record.steps[0].evidence.images, 16);
  assert.is(record.steps[1].options.recipe, "recalibrate");
  assert.ok(record.top1 > 0.5, `${record.top1}`);
  assert.match(out, /test top-1/);
});

gpuTest(
  cli,
  "seeds: the masks of random pruning overlap as chance has it, those of magnitude do fully",
  async () => {
    for (const [method, least, most] of [
      ["random", 0.3, 0.37],
      ["magnitude", 1, 1],
    ] as const) {
      const out = succeeds(
        ...["prune", "glyphnet", "--method", method, "--sparsity", "0.5", "--seeds", "3", "--test", "glyphs"],
        ...["--limit", "60", "-o", at("seeds.safetensors"), "--json", at("seeds.json")],
        ...["--plan", "estimated", "--latency-batch", "4"],
      );
      const { stability, steps } = json("seeds.json");
      assert.equal(stability.seeds, [1, 2, 3]);
      assert.is(stability.top1.values.length, 3);
      // Two halves drawn at random share a quarter of all, of three quarters that either has.
      assert.ok(stability.overlap >= least && stability.overlap <= most, `${method}: ${stability.overlap}`);
      assert.is(steps[0].options.seed, 1);
      const { latency } = stability;
      assert.equal([latency.batch, latency.seeds.length, latency.ms.values.length], [4, 3, 3]);
      assert.equal(
        latency.ms.values,
        latency.seeds.map((s: { median: number }) => s.median),
      );
      for (const s of [latency.unpruned, ...latency.seeds]) {
        assert.is(s.samples, latency.rounds);
        assert.ok(s.p10 > 0 && s.p10 <= s.median && s.median <= s.p90);
      }
      assert.type(latency.ms.deviation, "number");
      assert.match(out, /3 seeds: [\d.]+ ± [\d.]+ ms, [\d.]+ ± [\d.]+ times as fast as unpruned/);
      assert.match(out, /seed +test top-1 +ms, batch 4 +speed-up\n +-+\n +1 /);
    }
  },
);

cli.after(() => rmSync(dir, { recursive: true, force: true }));
cli.run();
