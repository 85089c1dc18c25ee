import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Graph } from "../../src/graph/graph.ts";
import { metadataKeys } from "../../src/graph/metadata.ts";
import { compact } from "../../src/prune/compact.ts";
import { graphHash } from "../../src/prune/hash.ts";
import { type PruneOptions, prune } from "../../src/prune/prune.ts";
import { applyRecord, parseRecord, recordOf, withStep } from "../../src/prune/record.ts";
import { replay } from "../../src/prune/replay.ts";
import { bytesOf } from "../../src/tensor/host-tensor.ts";
import {
  depthwiseNet,
  groupedNet,
  layers,
  noise,
  residualNet,
  shortcutNet,
  splitNet,
} from "../support/prune-graphs.ts";

const test = suite("prune record");
const steps: readonly PruneOptions[] = [
  { method: "magnitude", granularity: "filter", sparsity: 0.3, norm: "l2" },
  { method: "magnitude", granularity: "block4x1", sparsity: 0.5 },
  { method: "random", granularity: "element", sparsity: 0.7, seed: 11, scope: "layer" },
];

function sameBytes(a: Graph, b: Graph): void {
  assert.equal([...a.metadata], [...b.metadata]);
  assert.equal(a.nodes, b.nodes);
  for (const field of ["weights", "masks"] as const) {
    assert.equal([...a[field].keys()], [...b[field].keys()]);
    for (const [name, t] of a[field]) {
      const other = b[field].get(name)!;
      assert.equal([t.dtype, t.shape], [other.dtype, other.shape]);
      assert.equal(bytesOf(t), bytesOf(other), name);
    }
  }
}

async function chain(graph: Graph): Promise<Graph> {
  let current = graph;
  for (const options of steps) current = (await prune(current, options)).graph;
  return (await compact(current)).graph;
}

async function message(run: () => Promise<unknown> | unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    assert.is((error as { code: string }).code, "E_PRUNE", String(error));
    return (error as Error).message;
  }
  return assert.unreachable("nothing was thrown") as never;
}

test("the record travels in the metadata, through JSON, and replays to the same bytes", async () => {
  for (const build of [residualNet, shortcutNet, splitNet, depthwiseNet, groupedNet]) {
    const pruned = await chain(build());
    const record = parseRecord(JSON.stringify(recordOf(pruned)));
    assert.ok(record.steps.length >= 3);
    sameBytes(await replay(record, build()), pruned);
  }
});

test("per-layer shares and keepShape replay too", async () => {
  const a = await prune(residualNet(), {
    method: "magnitude",
    granularity: "filter",
    sparsity: { conv1: 0.5 },
    keepShape: true,
    inputShapes: { image: [4, 2, 5, 5] },
  });
  sameBytes(await replay(a.record, residualNet()), a.graph);
});

test("every step says what it did to each layer", async () => {
  const { record } = await prune(residualNet(), steps[0]!);
  const step = record.steps[0]!;
  assert.ok(step.kind === "prune");
  if (step.kind !== "prune") return;
  assert.equal(step.layers, [
    { layer: "conv0", weight: "conv0.weight", units: 4, removed: 2 },
    { layer: "conv1", weight: "conv1.weight", units: 6, removed: 2 },
    { layer: "conv2", weight: "conv2.weight", units: 4, removed: 2 },
    { layer: "fc", weight: "fc.weight", units: 3, removed: 0 },
  ]);
  assert.is(step.structure.weights.find((w) => w.weight === "fc.weight")!.kept.length, 2);
});

test("another model is refused by its hash", async () => {
  const { record } = await prune(residualNet(), steps[1]!);
  const text = await message(() => replay(record, shortcutNet()));
  assert.ok(text.includes("hash") && text.includes("step 1"), text);
});

test("a record that was tampered with, and a step that trained, are refused", async () => {
  const { record, graph } = await prune(residualNet(), steps[1]!);
  const [step] = record.steps;
  if (step?.kind !== "prune") return assert.unreachable();
  const other = { ...record, steps: [{ ...step, options: { ...step.options, sparsity: 0.6 } }] };
  assert.ok((await message(() => replay(other, residualNet()))).includes("record was changed"));
  const hash = await graphHash(graph);
  const trained = withStep(graph, { kind: "train", options: { epochs: 3 }, before: hash, after: hash });
  assert.is(parseRecord(JSON.stringify(trained.record)).steps.length, 2);
  assert.ok((await message(() => replay(trained.record, residualNet()))).includes("training"));
});

test("the structural part alone shapes another copy of the net, whatever its weights", async () => {
  const pruned = await chain(shortcutNet());
  const other = new Map(
    [...shortcutNet().weights].map(([n, w]) => [
      n,
      w.dtype === "f32" ? noise(w.shape, layers("n", 9).random) : w,
    ]),
  );
  const shaped = applyRecord({ ...shortcutNet(), weights: other }, recordOf(pruned));
  assert.equal(shaped.nodes, pruned.nodes);
  for (const [name, w] of pruned.weights) assert.equal(shaped.weights.get(name)!.shape, w.shape, name);
  assert.equal(shaped.weights.get("pads"), pruned.weights.get("pads"));
  assert.is(shaped.metadata.get(metadataKeys.record), pruned.metadata.get(metadataKeys.record));
  assert.ok((await message(() => applyRecord(residualNet(), recordOf(pruned)))).includes("does not fit"));
});

test("damaged records are refused with the place", async () => {
  const { record } = await prune(residualNet(), steps[0]!);
  const json = JSON.stringify(record);
  assert.ok((await message(() => parseRecord("{"))).includes("not JSON"));
  assert.ok(
    (await message(() => parseRecord(json.replace('"version":1', '"version":2')))).includes("version"),
  );
  assert.ok(
    (await message(() => parseRecord(json.replace('"sparsity":0.3', '"sparsity":3')))).includes("sparsity"),
  );
  assert.ok(
    (await message(() => parseRecord(json.replace('"kind":"prune"', '"kind":"bake"')))).includes("kind"),
  );
  assert.ok((await message(() => parseRecord('{"version":1,"steps":[null]}'))).length > 0);
  const bad = JSON.parse(json);
  bad.steps[0].structure.weights[0].kept = [2, 1];
  assert.ok(
    (await message(() => applyRecord(residualNet(), parseRecord(JSON.stringify(bad))))).includes("rising"),
  );
});

test("a hostile structure is refused, whatever it asks for", async () => {
  const { record } = await prune(residualNet(), steps[0]!);
  const json = JSON.stringify(record);
  const with_ = (change: (structure: Record<string, unknown[]>) => void) => async (): Promise<void> => {
    const bad = JSON.parse(json);
    change(bad.steps[0].structure);
    applyRecord(residualNet(), parseRecord(JSON.stringify(bad)));
  };
  const bias = { node: "conv1", input: 2, weight: "new.bias", length: 2 ** 50 };
  assert.ok((await message(with_((s) => s.biases!.push(bias)))).includes("bias"));
  assert.ok((await message(with_((s) => s.biases!.push({ ...bias, node: "none" })))).includes("none"));
  assert.ok(
    (await message(with_((s) => s.weights!.push({ weight: "x", axis: 0, of: 1, kept: [0] })))).includes(
      '"x"',
    ),
  );
  const constant = { node: "conv1", input: 7, values: [1] };
  assert.ok((await message(with_((s) => s.constants!.push(constant)))).includes("no constant"));
  assert.ok(
    (await message(with_((s) => s.attributes!.push({ node: "?", name: "a", value: 1 })))).includes("?"),
  );
  await message(() =>
    parseRecord(json.replace('"constants":[]', '"constants":[{"node":"pad","input":1,"values":[1e999]}]')),
  );
});

test("the hash sees weights, masks, attributes and order of nodes, not metadata", async () => {
  const graph = residualNet();
  const hash = await graphHash(graph);
  assert.match(hash, /^[0-9a-f]{64}$/);
  assert.is(await graphHash({ ...graph, metadata: new Map([["a", "b"]]) }), hash);
  assert.is(await graphHash({ ...graph, weights: new Map([...graph.weights].reverse()) }), hash);
  const masked = (await prune(graph, { ...steps[1]!, sparsity: 0.01 })).graph;
  assert.is.not(await graphHash(masked), hash);
  assert.is.not(await graphHash({ ...masked, masks: new Map() }), await graphHash(masked));
});

test.run();
