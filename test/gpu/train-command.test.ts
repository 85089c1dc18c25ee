import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openModel } from "../../src/io/files.ts";
import { readCheckpoint } from "../../src/train/checkpoint.ts";
import { ROOT } from "../support/child.ts";
import { PROGRAM } from "../support/command-line.ts";
import { sameTensor } from "../support/files.ts";
import { gpuTest } from "../support/gpu.ts";

const test = suite("secateur train");
const folder = mkdtempSync(join(tmpdir(), "secateur-train-"));
test.after(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** The command; `disk` is the most bytes that a file of it may have. */
function start(args: readonly string[], disk?: number): { child: ChildProcess; ended: Promise<Ended> } {
  const full = disk === undefined ? [] : ["--import", "./test/support/full-disk.mjs"];
  const child = spawn(process.execPath, [...full, PROGRAM, "train", ...args], {
    cwd: ROOT,
    env: { ...process.env, ...(disk !== undefined && { SECATEUR_TEST_DISK: String(disk) }) },
  });
  let [out, err] = ["", ""];
  child.stdout!.on("data", (chunk) => (out += chunk));
  child.stderr!.on("data", (chunk) => (err += chunk));
  const ended = new Promise<Ended>((done) =>
    child.on("close", (code, signal) => done({ code, signal, out, err })),
  );
  return { child, ended };
}

const at = (name: string): string => join(folder, name);
const basic = (name: string): string[] => [
  ...["lenet300", "--data", "glyphs", "--limit", "2000", "--epochs", "3", "--seed", "5"],
  ...["-o", at(name)],
];
const often = ["--checkpoint-every", "0.05"];

/** Kills the command once it has written a checkpoint within its second epoch. */
async function interrupted(name: string, signal: NodeJS.Signals): Promise<Ended> {
  const { child, ended } = start([...basic(name), ...often]);
  const file = `${at(name)}.checkpoint`;
  const began = performance.now();
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (child.exitCode !== null || performance.now() - began > 90_000) break;
    if (!existsSync(file)) continue;
    if (readCheckpoint(readFileSync(file)).progress.epoch >= 1) break;
  }
  child.kill(signal);
  return ended;
}

const lastLine = (text: string): string => text.trim().split("\n").at(-1)!;

gpuTest(test, "a whole training, then the same one killed and resumed in both ways", async () => {
  const whole = await start([...basic("whole.safetensors"), "--json", at("whole.json")]).ended;
  assert.is(whole.code, 0, whole.err);
  assert.match(whole.out, /epoch 3: loss [\d.]+, top-1 [\d.]+ %, validation [\d.]+ %/);
  assert.match(whole.out, /gap {6}-?[\d.]+ points between training and test/);
  const json = JSON.parse(readFileSync(at("whole.json"), "utf8"));
  assert.is(json.epochs.length, 3);
  for (const e of json.epochs) assert.ok(e.loss > 0 && e.top1 > 0 && e.top1 <= 1 && e.seconds > 0);
  assert.ok(json.best.top1 > 0.5 && json.best.epoch >= 1);
  assert.ok(json.test.top1 > 0.5 && json.test.loss > 0);
  assert.not.ok(existsSync(`${at("whole.safetensors")}.checkpoint`), "the checkpoint has gone");
  const expected = await openModel(at("whole.safetensors"));
  assert.match(expected.metadata.get("secateur.training")!, /"seed":5/);

  for (const signal of ["SIGINT", "SIGKILL"] as const) {
    const name = `${signal}.safetensors`;
    const gone = await interrupted(name, signal);
    if (signal === "SIGINT") {
      assert.is(gone.code, 1, gone.err);
      assert.match(
        lastLine(gone.err),
        /^secateur: training was stopped in epoch \d .*Resume.*\[E_ABORTED\]$/,
      );
    } else assert.is(gone.signal, "SIGKILL");
    assert.not.ok(existsSync(at(name)), "nothing half-done");
    const resumed = await start([...basic(name), "--resume"]).ended;
    assert.is(resumed.code, 0, resumed.err);
    const graph = await openModel(at(name));
    for (const [weight, t] of expected.weights)
      sameTensor(graph.weights.get(weight)!, t, `${signal} ${weight}`);
  }
});

gpuTest(test, "a full disk loses no earlier checkpoint", async () => {
  const name = "full.safetensors";
  const gone = await interrupted(name, "SIGKILL");
  assert.is(gone.signal, "SIGKILL");
  const checkpoint = `${at(name)}.checkpoint`;
  const before = readFileSync(checkpoint);
  readCheckpoint(before);
  // No file may grow beyond half a checkpoint.
  const full = await start([...basic(name), ...often, "--resume"], Math.floor(before.length / 2)).ended;
  assert.is(full.code, 1, full.out);
  assert.match(lastLine(full.err), /cannot write .*full\.safetensors\.checkpoint: ENOSPC.*\[E_IO\]$/);
  assert.equal(readFileSync(checkpoint), before);
  assert.equal(
    readdirSync(folder).filter((file) => file.endsWith(".tmp")),
    [],
  );
});

const wrong: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ["no data", ["lenet300"], 2, /--data/],
  ["a rate below 0", ["lenet300", "--data", "glyphs", "--lr", "-1"], 2, /--lr is "-1"; a number above 0/],
  ["an unknown optimizer", ["lenet300", "--data", "glyphs", "--optimizer", "lion"], 2, /sgd, adam, adamw/],
  ["an unknown schedule", ["lenet300", "--data", "glyphs", "--schedule", "zigzag"], 2, /zigzag/],
  ["an unknown augmentation", ["lenet300", "--data", "glyphs", "--augment", "mixup"], 2, /pad:N/],
  ["an output of no known kind", ["lenet300", "--data", "glyphs", "-o", "x.pt"], 2, /safetensors or \.onnx/],
  ["a measured plan", ["lenet300", "--data", "glyphs", "--plan", "measured"], 2, /estimated or the file/],
  ["missing files", ["lenet300", "--data", "mnist:/nowhere"], 1, /train-images-idx3-ubyte/],
  [
    "no checkpoint",
    ["lenet300", "--data", "glyphs", "-o", at("none.onnx"), "--resume"],
    1,
    /none\.onnx\.checkpoint/,
  ],
];

for (const [name, args, code, words] of wrong) {
  gpuTest(test, `refuses ${name}`, async () => {
    const ended = await start(args).ended;
    assert.is(ended.code, code, ended.err);
    assert.match(ended.err, words);
  });
}

gpuTest(test, "the help tells of every option that the contract names", async () => {
  const { out, code } = await start(["--help"]).ended;
  assert.is(code, 0);
  const named =
    "data test validation epochs batch lr schedule optimizer seed teacher temperature alpha mask resume";
  for (const option of named.split(" ")) assert.match(out, new RegExp(`--${option}\\b`));
});

test.run();
