import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { readNpy, writeNpy } from "../../src/io/npy.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { secateur, succeeds } from "../support/command-line.ts";
import { gpuTest } from "../support/gpu.ts";

const cli = suite("command line");
const dir = mkdtempSync(join(tmpdir(), "secateur-cli-"));
const at = (name: string): string => join(dir, name);

const json = (name: string): Record<string, never> => JSON.parse(readFileSync(at(name), "utf8"));

cli("wrong usage exits 2 with one line and a hint", () => {
  for (const args of [
    [],
    ["nonsense"],
    ["prune", "lenet5"],
    ["prune", "lenet5", "--sparsity", "2", "-o", at("x.onnx")],
    ["prune", "lenet5", "--sparsity", "0.5", "-o", at("x.txt")],
    ["compact", "lenet5"],
    ["compact", "lenet5", "-o", at("x.txt")],
    ["inspect", "lenet5", "--count", "flops"],
    ["eval", "lenet5"],
    ["eval", "lenet5", "--data", "glyphs", "--limit", "many"],
    ["compare", "lenet5"],
    ["bench", "--adapter", "quantum"],
    ["bench", "--budget", "soon"],
    ["train", "lenet5", "--data", "glyphs", "--budget", "5"],
    ["eval", "lenet5", "--data", "glyphs", "--plan", at("no-such-plan.json")],
  ]) {
    assert.is(secateur(...args).status, 2, args.join(" "));
  }
});

cli("a failure exits 1 with one clear line and leaves no file", () => {
  writeFileSync(at("broken.onnx"), "not a model");
  for (const args of [
    ["inspect", at("missing.onnx")],
    ["inspect", at("broken.onnx")],
    ["inspect", "lenet5", "--mask", "nowhere", "-o", at("x.svg")],
    ["eval", "lenet5", "--data", "mnist:/nowhere"],
    ["eval", "resnet20", "--data", "glyphs"],
    ["prune", "lenet5", "--sparsity", "0.5", "--method", "wishful", "-o", at("x.onnx")],
    ["run", "lenet5", "--input", `image=${at("missing.npy")}`, "-o", at("out")],
  ]) {
    const run = secateur(...args);
    assert.is(run.status, 1, args.join(" "));
    assert.is(run.err.split("\n").length, 1, run.err);
    assert.match(run.err, /^secateur: .+\[E_\w+\]$/);
  }
  assert.not(existsSync(at("x.onnx")));
  assert.not(existsSync(at("x.svg")));
});

cli("--help teaches, for the program and for every command", () => {
  assert.match(succeeds("--help"), /Start here:/);
  for (const command of ["doctor", "inspect", "prune", "compact", "run", "eval", "compare", "bench"]) {
    assert.match(succeeds(command, "--help"), /--json <file>/);
  }
});

cli("inspect counts, draws a mask and prints groups", () => {
  const text = succeeds(
    "inspect",
    "glyphnet",
    "--groups",
    "--json",
    at("i.json"),
    "--mask",
    "layer1.0.conv1",
    "-o",
    at("m.svg"),
  );
  assert.match(text, /162,874 parameters/);
  const report = json("i.json") as unknown as {
    parameters: number;
    macs: number;
    layers: { name: string }[];
  };
  assert.is(report.parameters, 162_874);
  assert.is(report.macs, 12_757_888);
  assert.ok(report.layers.some((l) => l.name === "layer1.0.conv1"));
  assert.match(readFileSync(at("m.svg"), "utf8"), /^<svg /);
});

cli("inspect counts by name", () => {
  const text = succeeds(
    "inspect",
    "resnet56",
    "--count",
    "thop-2020",
    "--count",
    "filters-only",
    "--json",
    at("c.json"),
  );
  assert.match(text, /125,485,696 MACs an image/);
  assert.match(text, /thop-2020: 126,550,656 MACs, 853,018 parameters/);
  assert.match(text, /filters-only: 125,485,706 MACs, 848,954 parameters/);
  const { counts } = json("c.json") as unknown as { counts: Record<string, { macs: number }> };
  assert.is(counts["thop-2020"]!.macs, 126_550_656);
});

cli("compact removes what is dead, says what that saves and checks it", () => {
  succeeds("prune", "lenet300", "--method", "random", "--sparsity", "0.995", "-o", at("sparse.safetensors"));
  const text = succeeds(
    "compact",
    at("sparse.safetensors"),
    "-o",
    at("small.safetensors"),
    "--json",
    at("k.json"),
  );
  assert.match(text, /same outputs on 2 random inputs: largest difference/);
  const report = json("k.json") as unknown as {
    removed: number;
    before: { macs: number };
    after: { macs: number };
    layers: { rows: number; columns: number; columnsRead: number }[];
  };
  assert.ok(report.removed > 20, `${report.removed}`);
  assert.ok(report.after.macs < report.before.macs);
  assert.ok(statSync(at("small.safetensors")).size < statSync(at("sparse.safetensors")).size);
  assert.ok(existsSync(at("small.safetensors.record.json")));
  const [ip1] = report.layers;
  assert.match(
    succeeds("inspect", at("small.safetensors")),
    new RegExp(`\\[${ip1!.rows}, ${ip1!.columns}\\]`),
  );
  assert.match(succeeds("compact", "lenet5", "-o", at("whole.onnx")), /Nothing is dead/);
});

gpuTest(cli, "doctor reports an adapter that computes right", () => {
  succeeds("doctor", "--json", at("d.json"));
  const report = json("d.json") as unknown as {
    ok: boolean;
    adapter: { description: string; software: boolean };
  };
  assert.is(report.ok, true);
  assert.type(report.adapter.description, "string");
  assert.type(report.adapter.software, "boolean");
});

gpuTest(cli, "prune, inspect, eval, run and compare agree across both file formats", () => {
  const cases = [
    ["element", "0.5"],
    ["block8x1", "0.3"],
    ["filter", "0.3"],
  ] as const;
  const image = tensor(
    Float32Array.from({ length: 784 }, (_, i) => ((i * 37) % 101) / 101),
    [1, 1, 28, 28],
  );
  writeFileSync(at("x.npy"), writeNpy(image));
  for (const [granularity, sparsity] of cases) {
    const answers = ["safetensors", "onnx"].map((extension) => {
      const file = at(`${granularity}.${extension}`);
      succeeds("prune", "glyphnet", "--granularity", granularity, "--sparsity", sparsity, "-o", file);
      assert.ok(existsSync(`${file}.record.json`));
      succeeds("inspect", file, "--json", at("i.json"));
      succeeds("eval", file, "--data", "glyphs", "--limit", "200", "--json", at("e.json"));
      succeeds(
        "run",
        file,
        "--input",
        `image=${at("x.npy")}`,
        "--verify",
        "-o",
        at(`out-${granularity}-${extension}`),
      );
      const logits = readNpy(readFileSync(at(`out-${granularity}-${extension}/logits.npy`)));
      return { inspect: json("i.json"), eval: json("e.json"), logits: [...(logits.data as Float32Array)] };
    });
    const strip = (a: (typeof answers)[number]) => ({ ...a, inspect: { ...a.inspect, bytes: 0 } });
    assert.equal(strip(answers[0]!), strip(answers[1]!), granularity);
  }
  assert.ok(statSync(at("element.safetensors")).size < statSync(at("element.onnx")).size);
  succeeds(
    ...[
      "compare",
      "glyphnet",
      ...cases.map(([g]) => at(`${g}.safetensors`)),
      "--data",
      "glyphs",
      "--limit",
      "64",
    ],
    ...["--batch", "8", "--rounds", "3", "--layers", "--json", at("c.json")],
  );
  const { rows } = json("c.json") as unknown as {
    rows: {
      name: string;
      ms: { median: number };
      cpuMs: { median: number };
      speedup: { median: number };
      plan: { reason: string }[];
    }[];
  };
  assert.equal(
    rows.map((r) => r.name),
    ["glyphnet", "element", "block8x1", "filter"],
  );
  assert.ok(rows.every((r) => r.ms.median > 0 && r.speedup.median > 0 && r.plan.length === 10));
  assert.ok(rows.every((r) => r.cpuMs.median > 0 && r.plan.every(({ reason }) => reason !== "")));
});

gpuTest(cli, "the same prune of the same model writes the same bytes", () => {
  for (const name of ["a.safetensors", "b.safetensors"]) {
    succeeds("prune", "glyphnet", "--method", "random", "--seed", "7", "--sparsity", "0.5", "-o", at(name));
  }
  assert.equal(readFileSync(at("a.safetensors")), readFileSync(at("b.safetensors")));
});

cli.after(() => rmSync(dir, { recursive: true, force: true }));

cli.run();
