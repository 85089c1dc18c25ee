import { suite } from "uvu";
import * as assert from "uvu/assert";
import { graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import type { Evidence } from "../../src/prune/evidence.ts";
import { prune } from "../../src/prune/prune.ts";
import { replay } from "../../src/prune/replay.ts";
import { tensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { seeded } from "../../src/tensor/random.ts";
import { fails } from "../support/error.ts";
import { residualNet } from "../support/prune-graphs.ts";

const test = suite("recovery without labels");

function linear(rows: readonly (readonly number[])[], attributes: Record<string, number> = {}): Graph {
  const b = graphBuilder("linear");
  const [m, k] = [rows.length, rows[0]!.length];
  const w = b.weight("w", tensor(rows.flat(), [m, k], "f64"));
  const bias = b.weight("b", tensor(new Float64Array(m).fill(1), [m]));
  const x = b.input("x", [null, k], "f64");
  b.output(b.node("Gemm", [x, w, bias], { transB: 1, ...attributes }), [null, m], "f64");
  return b.build();
}

/** Inputs, one per line, as the evidence that they make. */
function evidenceOf(inputs: readonly (readonly number[])[]): Evidence {
  const cols = inputs[0]!.length;
  const n = inputs.length;
  const columns = Array.from({ length: cols }, (_, k) => k);
  const means = columns.map((k) => inputs.reduce((s, x) => s + x[k]!, 0) / n);
  const moments = columns.flatMap((i) =>
    columns.map((j) => inputs.reduce((s, x) => s + x[i]! * x[j]!, 0) / n),
  );
  return {
    inputMeans: new Map([["w", tensor(means, [1, cols], "f64")]]),
    inputMoments: new Map([["w", tensor(moments, [1, cols, cols], "f64")]]),
  };
}

const of = (graph: Graph, name: string): number[] => toNumbers(graph.weights.get(name)!);
const near = (got: readonly number[], want: readonly number[], tolerance = 1e-5): void => {
  assert.is(got.length, want.length);
  for (const [i, v] of want.entries()) assert.ok(Math.abs(got[i]! - v) < tolerance, `${got}, not ${want}`);
};

test("bias by hand: the mean of what went is added", async () => {
  const evidence = evidenceOf([
    [1, 10],
    [3, 20],
  ]);
  const rows = [
    [2, 5],
    [7, 0.5],
  ];
  const options = { method: "magnitude", sparsity: 0.5, recover: "bias", evidence } as const;
  // 2 · E[x0] = 4 and 0.5 · E[x1] = 7.5.
  near(of((await prune(linear(rows), options)).graph, "b"), [5, 8.5]);
  near(of((await prune(linear(rows, { alpha: 2, beta: 4 }), options)).graph, "b"), [3, 4.75]);
});

test("least squares by hand: a column that says the same takes over", async () => {
  // x1 = 2 · x0, so 1 · x0 is 0.5 · x1.
  const evidence = evidenceOf([
    [1, 2, 1],
    [2, 4, -1],
  ]);
  const { graph } = await prune(linear([[1, 3, 5]]), {
    method: "magnitude",
    sparsity: 1 / 3,
    recover: "least-squares",
    evidence,
  });
  near(of(graph, "w"), [0, 3.5, 5]);
  near(of(graph, "b"), [1]);
});

test("least squares leaves no better weights on the places that stay, whatever the pattern", async () => {
  const random = seeded(2);
  const [m, k] = [5, 8];
  const rows = Array.from({ length: m }, () => Array.from({ length: k }, () => random.normal()));
  const inputs = Array.from({ length: 30 }, () => {
    const common = random.normal();
    return Array.from({ length: k }, () => common + random.normal());
  });
  for (const granularity of ["element", "2:4x2", "block4x1"]) {
    const { graph, record } = await prune(linear(rows), {
      method: "magnitude",
      granularity,
      ...(granularity !== "2:4x2" && { sparsity: 0.5 }),
      recover: "least-squares",
      evidence: evidenceOf(inputs),
    });
    const w = of(graph, "w");
    // At a minimum the error is orthogonal to every input that is still read.
    for (let row = 0; row < m; row++) {
      for (let p = 0; p < k; p++) {
        if (w[row * k + p] === 0) continue;
        const slope = inputs.reduce((s, x) => {
          const error = x.reduce((e, v, q) => e + (w[row * k + q]! - rows[row]![q]!) * v, 0);
          return s + error * x[p]!;
        }, 0);
        assert.ok(Math.abs(slope) < 1e-3, `${granularity} ${row} ${p}: ${slope}`);
      }
    }
    const again = await replay(record, linear(rows), evidenceOf(inputs));
    assert.equal(of(again, "w"), w);
  }
});

test("what is missing or cannot be is refused", async () => {
  const run = (options: object): Promise<unknown> =>
    prune(residualNet(), { method: "magnitude", sparsity: 0.5, ...options });
  await fails(() => run({ recover: "bias" }), "E_INPUT", /inputMeans.*collectEvidence/);
  await fails(() => run({ recover: "magic" }), "E_INPUT", /bias, least-squares/);
  await fails(
    () => run({ recover: "bias", granularity: "filter" }),
    "E_INPUT",
    /collectEvidence.*\["inputMeans"\]/,
  );
});

test.run();
