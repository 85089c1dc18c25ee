import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseSensitivity } from "../../src/sensitivity/curve.ts";
import { secateur } from "../support/command-line.ts";
import { gpuTest } from "../support/gpu.ts";

const cli = suite("sensitivity and targets on the command line");
const _root = fileURLToPath(new URL("../../", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "secateur-sensitivity-"));
const at = (name: string): string => join(dir, name);

gpuTest(cli, "a scan is printed, written as JSON, kept in its file, and gone on with", () => {
  const args = ["sensitivity", "glyphnet", "--data", "glyphs", "--images", "20", "--sparsities", "0.5,0.9"];
  const first = secateur(...args, "--no-latency", "--resume", at("scan.json"), "--json", at("out.json"));
  assert.is(first.status, 0, first.err);
  const scan = parseSensitivity(readFileSync(at("scan.json"), "utf8"));
  assert.equal(JSON.parse(readFileSync(at("out.json"), "utf8")), scan);
  assert.is(scan.layers.length, 10);
  assert.match(first.out, /layer +size +0 % +50 % +90 %/);
  // What is in the file is believed, not measured again.
  const marked = { ...scan, layers: scan.layers.slice(0, 9).map((l) => ({ ...l, note: "marked" })) };
  writeFileSync(at("scan.json"), JSON.stringify(marked));
  const again = secateur(...args, "--no-latency", "--resume", at("scan.json"), "--quiet");
  assert.is(again.status, 0, again.err);
  const { layers } = parseSensitivity(readFileSync(at("scan.json"), "utf8"));
  assert.is(layers.filter((l) => l.note === "marked").length, 9);
  assert.equal(layers[9], scan.layers[9]);
  const other = secateur(...args, "--no-latency", "--resume", at("scan.json"), "--images", "21");
  assert.is(other.status, 1);
  assert.match(other.err, /data is .*but the sensitivity file was made with/);
});

gpuTest(cli, "a target says what it needs, and what it cannot meet", () => {
  const out = at("never.safetensors");
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [["--target-ms", "5"], 2, /give --data/],
    [["--target-ms", "0"], 2, /--target-ms is "0"/],
    [["--target-ms", "5", "--sparsity", "0.5", "--data", "glyphs"], 2, /leave --sparsity out/],
    [["--max-drop", "1", "--granularity", "2:4", "--data", "glyphs"], 2, /fixes every share/],
    [["--sparsity", "0.5", "--sensitivity", at("scan.json")], 2, /goes with --target-ms/],
  ];
  for (const [args, status, message] of cases) {
    const run = secateur("prune", "glyphnet", ...args, "-o", out);
    assert.is(run.status, status, `${args.join(" ")}: ${run.err}`);
    assert.match(run.err, message);
  }
  assert.not(existsSync(out));
});

cli.after(() => rmSync(dir, { recursive: true, force: true }));
cli.run();
