import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadMeter } from "../../bench/load.ts";
import {
  caseName,
  checkCases,
  flops,
  type OpCase,
  opCases,
  operandsOf,
  xShape,
  yShape,
} from "../../bench/peers/cases.ts";
import { modelWork, residualNet } from "../../bench/peers/model.ts";
import { cutLength, parallelGraph, parallelOf } from "../../bench/peers/parallel.ts";
import { elementOf, expectedOf, judge, judgeStart } from "../../bench/peers/reference.ts";
import {
  bestPeers,
  type PeersResult,
  type PeersRow,
  peersTable,
  summarise,
  timesOurs,
} from "../../bench/peers/result.ts";
import { keptRounds, roundsDone } from "../../bench/peers/rounds.ts";
import { runPeers } from "../../bench/peers/run.ts";
import { runCommand } from "../../src/gpu/driver/command.ts";
import { readOnnx } from "../../src/io/onnx/read.ts";
import { spread } from "../../src/plan/stats.ts";
import { runReference } from "../../src/run/reference.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { ROOT } from "../support/child.ts";
import { fails } from "../support/error.ts";

const peers = suite("peers");

const at = (contender: PeersRow["contender"], ms: number, more: Partial<PeersRow> = {}): PeersRow => ({
  op: "matmul",
  shape: "256^3",
  contender,
  ms: spread([ms]),
  gflops: 1,
  ...(contender === "secateur" ? {} : { timesOurs: spread([ms / 2]) }),
  otherCpus: 0,
  contaminated: false,
  droppedRounds: 0,
  checked: true,
  maxError: 1e-6,
  repeats: 1,
  ...more,
});

const rows: readonly PeersRow[] = [
  at("secateur", 2),
  at("secateur, in a net", 1),
  at("tfjs", 5),
  at("onnxruntime", 4),
  at("secateur", 2, { shape: "512^3" }),
  at("tfjs", 16, { shape: "512^3", contaminated: true, otherCpus: 0.5 }),
  at("secateur", 2, { shape: "512^3, both run-time" }),
  at("tfjs", 20, { shape: "512^3, both run-time" }),
  at("secateur", 1, { op: "conv", shape: "3x3" }),
  at("jax-js", 3, { op: "conv", shape: "3x3" }),
  at("tfjs", 4, { op: "conv", shape: "3x3" }),
  // Without ours beside it a peer's time says nothing.
  at("tfjs", 100, { op: "conv", shape: "1x1" }),
];

peers("the best peer is chosen shape by shape, and ours is never one", () => {
  const best = bestPeers(rows);
  assert.equal(
    best.map((b) => [b.shape, b.peer, b.ratio, b.inNet]),
    [
      ["256^3", "onnxruntime", 2, 4],
      ["512^3", "tfjs", 8, undefined],
      ["512^3, both run-time", "tfjs", 10, undefined],
      ["3x3", "jax-js", 3, undefined],
    ],
  );
});

peers("the summary averages ratios geometrically, apart from run-time matrices and models", () => {
  const s = summarise(rows, bestPeers(rows));
  assert.ok(Math.abs(s.denseVsBestPeer.matmul! - 4) < 1e-12); // of 2 and 8
  assert.ok(Math.abs(s.denseVsBestPeer.conv! - 3) < 1e-12);
  assert.ok(Math.abs(s.denseInNetVsBestPeer.matmul! - 4) < 1e-12);
  assert.is(s.denseInNetVsBestPeer.conv, null);
  assert.ok(Math.abs(s.runtimeMatmulVsBestPeer! - 10) < 1e-12);
  assert.is(s.modelVsBestPeer, null);
  assert.is(s.contaminatedRows, 1);
});

peers("ratios are taken round by round", () => {
  const samples = [
    { contender: "secateur", ms: [1, 2, 4] },
    { contender: "tfjs", ms: [3, 4, 20] },
  ] as const;
  assert.equal(timesOurs(samples, "tfjs"), spread([3, 2, 5]));
  assert.is(timesOurs(samples, "secateur"), undefined);
  assert.is(timesOurs(samples.slice(1), "tfjs"), undefined);
});

peers("the table names what is missing, what failed and what ran beside other work", () => {
  const result: PeersResult = {
    environment: {
      adapter: "llvmpipe",
      vendor: "mesa",
      software: true,
      key: "k",
      runtime: "Node v20",
      platform: "linux",
      secateur: "0.0.0",
      date: "2030-01-02T00:00:00Z",
    },
    rounds: 9,
    contenders: [
      { name: "secateur", state: "ran", version: "secateur 0", adapterReported: true },
      { name: "onnxruntime", state: "ran", version: "onnxruntime-node 1", adapterReported: false },
      { name: "jax-js", state: "missing", reason: "no such file" },
    ],
    rows,
    best: bestPeers(rows),
    failures: [{ contender: "tfjs", op: "conv", shape: "3x3", reason: "too large" }],
    summary: summarise(rows, bestPeers(rows)),
  };
  const text = peersTable(result);
  assert.match(text, /MISSING jax-js: no such file/);
  assert.match(text, /NOT RUN tfjs, conv 3x3: too large/);
  assert.match(text, /512\^3 +tfjs .* 0\.50 CONTAMINATED/);
  assert.match(text, /CONTAMINATED: 1 of 12 rows/);
  assert.match(text, /onnxruntime-node 1\) does not report its adapter/);
  assert.match(text, /geometric means: matmul 4\.00x, convolution 3\.00x;/);
});

peers("shapes have names of their own, and their work is counted", () => {
  for (const set of ["quick", "default", "full"] as const) {
    const names = opCases(set).map((c) => `${c.op} ${caseName(c)}`);
    assert.is(new Set(names).size, names.length);
  }
  const all = new Map(opCases("full").map((c) => [caseName(c), flops(c)]));
  assert.is(all.get("512^3"), 2 * 512 ** 3);
  assert.is(all.get("3x3 64->64 @56x56"), 2 * 9 * 64 * 64 * 56 * 56);
  assert.is(all.get("1x1 256->64 @56x56, batch 8"), 8 * 2 * 256 * 64 * 56 * 56);
});

peers("the reference is the definition: results worked out by hand", () => {
  const matmul: OpCase = { op: "matmul", m: 2, k: 3, n: 2, runtime: false };
  const product = { x: Float32Array.of(1, 2, 3, 4, 5, 6), w: Float32Array.of(1, 0, 0, 1, 2, 2) };
  assert.equal(
    [0, 1, 2, 3].map((i) => elementOf(matmul, product, i)),
    [7, 8, 16, 17],
  );
  // Two channels of a 2×2 image; the filter takes the first channel's left neighbour and ten times the second's pixel itself.
  const conv: OpCase = {
    op: "conv",
    batch: 1,
    inChannels: 2,
    outChannels: 1,
    kernel: 3,
    height: 2,
    width: 2,
  };
  const w = new Float32Array(18);
  w[3] = 1;
  w[9 + 4] = 10;
  const image = { x: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), w };
  assert.equal(
    [0, 1, 2, 3].map((i) => elementOf(conv, image, i)),
    [50, 61, 70, 83],
  );
});

peers("a large result is judged by its edges and thousands of others, a wrong one is refused", async () => {
  const c: OpCase = { op: "matmul", m: 90, k: 2, n: 80, runtime: false };
  const operands = operandsOf(c, 1);
  const expected = expectedOf(c, operands, 1);
  const chosen = new Set(expected.indices);
  assert.is(expected.length, 7200);
  assert.is(chosen.size, 2 * 90 + 2 * 80 - 4 + 4096);
  assert.ok([0, 79, 80, 159, 7120, 7199].every((i) => chosen.has(i)));
  const right = Float32Array.from({ length: 7200 }, (_, i) => elementOf(c, operands, i));
  assert.ok(judge("it", right, expected) < 1e-6);
  const wrong = right.slice();
  wrong[159]! += 0.01;
  await fails(() => judge("it", wrong, expected), "E_VERIFY", /element 159/);
  wrong.set(right);
  wrong[right.findIndex((_, i) => !chosen.has(i))] = Number.NaN; // not even among those that are compared
  await fails(() => judge("it", wrong, expected), "E_VERIFY", /NaN/);
  await fails(() => judge("it", right.subarray(1), expected), "E_VERIFY", /7199 elements/);
});

peers("parallel nodes compute what their operands say, cut and whole", async () => {
  for (const c of checkCases) {
    const operands = operandsOf(c, 3);
    const parallel = parallelOf(c, operands);
    const inputs = {
      x: tensor(operands.x, xShape(c)),
      ...(c.op === "matmul" && c.runtime ? { w: tensor(operands.w, [c.k, c.n]) } : {}),
    };
    const { nodes } = parallel;
    const whole = runReference(parallelGraph(c, parallel, { nodes, cut: false, resident: false }), inputs);
    const cut = runReference(parallelGraph(c, parallel, { nodes, cut: true, resident: true }), {});
    for (let i = 0; i < nodes; i++) {
      assert.equal(whole[`y${i}`]!.shape, yShape(c));
      assert.is(cut[`y${i}`]!.data.length, cutLength);
      const start = Float32Array.from(cut[`y${i}`]!.data as Float64Array);
      judgeStart(c, parallel.operands[i]!, start, cutLength);
      judge(
        "it",
        Float32Array.from(whole[`y${i}`]!.data as Float64Array),
        expectedOf(c, parallel.operands[i]!, 1),
      );
    }
  }
  const skewed: OpCase = { op: "matmul", m: 2, k: 3, n: 4, runtime: true };
  await fails(() => parallelOf(skewed, operandsOf(skewed, 1)), "E_INPUT", /square/);
});

peers("the ONNX file holds the net, and the first and last image are what it is judged by", () => {
  const work = modelWork(3, 5);
  const graph = readOnnx(work.operands.model!);
  const image = tensor(work.operands.x, [3, 3, 32, 32]);
  const logits = runReference(graph, { image })["logits"]!.data as Float64Array;
  judge("it", Float32Array.from(logits), work.expected);
  assert.equal(
    [...work.expected.indices],
    [...Array(10).keys(), ...Array.from({ length: 10 }, (_, i) => 20 + i)],
  );
  assert.is(residualNet(1, 5).nodes.filter((n) => n.op === "Conv").length, 21);
});

peers("other processes' load is what the machine did less what the bench and the engine did", () => {
  const meter = loadMeter();
  assert.is(meter.otherCpus(), 0);
  meter.add({ wall: 0, machine: 1000, self: 10 }, { wall: 100, machine: 1150, self: 20 }, 90);
  assert.is(meter.otherCpus(), 0.5);
  meter.add({ wall: 200, machine: 2000, self: 20 }, { wall: 300, machine: 2080, self: 20 }, 80);
  assert.is(meter.otherCpus(), 0.25);
});

peers("only the machine's load decides which rounds count", () => {
  const loads = [0, 0.5, 0.1, 0.2, 0.3, 0];
  assert.equal(keptRounds(loads, 3, 2), [0, 2, 3]);
  assert.equal(keptRounds(loads, 9, 2), [0, 2, 3, 5]);
  // Too few quiet ones: the quietest, in their order.
  assert.equal(keptRounds(loads, 5, 5), [0, 2, 3, 4, 5]);
  assert.equal(keptRounds([0.9, 0.5, 0.7], 2, 2), [1, 2]);
  const done = (n: readonly number[], timeIsUp = false): boolean =>
    roundsDone(n, { wanted: 3, least: 2, timeIsUp });
  assert.equal(
    [done([0, 0]), done([0, 0, 0]), done([0, 0, 1, 1, 1]), done([0, 0, 1, 1, 1, 1])],
    [false, true, false, true],
  );
  assert.equal([done([0], true), done([1, 1], true)], [false, true]);
});

peers("without any peer, and for wrong usage, one clear line", async () => {
  const empty = mkdtempSync(join(tmpdir(), "peers-"));
  const before = process.env["XDG_CACHE_HOME"];
  process.env["XDG_CACHE_HOME"] = empty;
  try {
    await fails(() => runPeers({ set: "quick" }), "E_UNSUPPORTED", /install\.ts.*tfjs: .*onnxruntime-node@1/);
  } finally {
    if (before === undefined) delete process.env["XDG_CACHE_HOME"];
    else process.env["XDG_CACHE_HOME"] = before;
  }
  const bench = (args: readonly string[]): ReturnType<typeof runCommand> =>
    runCommand(process.execPath, ["--import", "tsx", "bench/main.ts", "peers", ...args], {
      cwd: ROOT,
      env: { ...process.env, XDG_CACHE_HOME: empty },
      timeoutMs: 60_000,
    });
  const outcomes = await Promise.all([
    bench(["--bogus"]),
    bench(["extra"]),
    bench(["--quick", "--full"]),
    bench(["--peer", "caffe"]),
    bench(["--help"]),
    bench(["--quick"]),
  ]);
  assert.equal(
    outcomes.map((o) => o.code),
    [2, 2, 2, 2, 0, 1],
  );
  assert.match(outcomes[0]!.output, /unknown option '--bogus'/);
  assert.match(outcomes[5]!.output, /no peer to compare with/);
});

peers.run();
