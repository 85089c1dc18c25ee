import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type GraphBuilder, graphBuilder } from "../../src/graph/builder.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { hyperLength } from "../../src/graph/ops/update.ts";
import { compile } from "../../src/run/compile.ts";
import { runReference } from "../../src/run/reference.ts";
import { type HostTensor, tensor, zeros } from "../../src/tensor/host-tensor.ts";
import { type Shape, showShape } from "../../src/tensor/shape.ts";
import { hyperAt, optimizerOf } from "../../src/train/optimizer.ts";
import { assertClose } from "../support/close.ts";
import { fails } from "../support/error.ts";
import { gpuTest } from "../support/gpu.ts";
import { values } from "../support/kernel-cases.ts";
import { numbersOf } from "../support/run-lowering.ts";

const test = suite("updates on the GPU");
const v = values(31);
const floats = (t: HostTensor): Float32Array => t.data as Float32Array;

/** A graph of updates, each of its own variables; every output of an update is an output of the graph. */
interface Updates {
  readonly b: GraphBuilder;
  readonly variables: Map<string, HostTensor>;
  readonly masks: Map<string, HostTensor>;
  readonly gradients: Map<string, HostTensor>;
}

function addUpdate(u: Updates, adam: boolean, shape: Shape, flags: number): void {
  const name = `${adam ? "adam" : "sgd"} ${flags} ${showShape(shape)}`;
  const [special, penalise, masked, scaled] = [1, 2, 4, 8].map((bit) => (flags & bit ? 1 : 0));
  const variable = (what: string, value: HostTensor): string => {
    u.variables.set(`${name} ${what}`, value);
    return u.b.weight(`${name} ${what}`, value);
  };
  const w = variable("weight", v.normal(shape));
  const g = u.b.input(`${name} gradient`, shape);
  u.gradients.set(g, v.normal(shape));
  const moments = adam
    ? [variable("first", v.normal(shape, 0.1)), variable("second", v.between(0, 1, shape))]
    : [variable("velocity", v.normal(shape))];
  const mask = v.between(0, 1, shape);
  for (const [i, x] of floats(mask).entries()) floats(mask)[i] = x < 0.5 ? 0 : 1;
  if (masked) u.masks.set(name, mask);
  const operands = [
    w,
    g,
    ...moments,
    "hyper",
    masked ? u.b.weight(`${name} mask`, mask) : "",
    scaled ? "scale" : "",
  ];
  while (operands.at(-1) === "") operands.pop();
  const outputs = moments.length === 2 ? ["w", "m", "v"] : ["w", "v"];
  u.b.node(
    adam ? "AdamUpdate" : "SgdUpdate",
    operands,
    { penalise: penalise!, [adam ? "decoupled" : "nesterov"]: special! },
    { name, outputs: outputs.map((o) => `${name} ${o}`) },
  );
  for (const o of outputs) u.b.output(`${name} ${o}`, shape);
}

const updateShapes: readonly Shape[] = [
  [],
  [1],
  [7],
  [129],
  [0],
  [3, 5],
  [64],
  [1, 3, 5, 7],
  [2, 3, 2, 3, 2],
];

for (const adam of [false, true]) {
  gpuTest(test, `${adam ? "AdamUpdate" : "SgdUpdate"} with everything on and off`, async (gpu) => {
    const b = graphBuilder("updates");
    b.input("hyper", [hyperLength]);
    b.input("scale", [1]);
    const u: Updates = { b, variables: new Map(), masks: new Map(), gradients: new Map() };
    for (let flags = 0; flags < 16; flags++) addUpdate(u, adam, updateShapes[flags % 9]!, flags);
    for (const shape of updateShapes.slice(0, 6)) addUpdate(u, adam, shape, 15);
    const graph = b.build();
    const session = await compile(gpu, graph, { variables: [...u.variables.keys()] });
    const o = optimizerOf({ kind: adam ? "adam" : "sgd", weightDecay: 0.1, l1: 0.05, beta2: 0.9 });
    for (let t = 0; t < 3; t++) {
      const inputs = {
        ...Object.fromEntries(u.gradients),
        hyper: hyperAt(o, 0.1, t),
        scale: tensor([0.3], [1]),
      };
      if (t === 1) {
        // As verify does it, but by a step.
        const before = await session.readState();
        await session.step(inputs);
        const expected = runReference(before, inputs);
        await assertState(session.read, graph, expected);
      } else await session.verify(inputs, { tolerance: 1e-6 });
      for (const [name, mask] of u.masks) {
        for (const what of adam ? ["weight", "first", "second"] : ["weight", "velocity"]) {
          const held = floats(await session.read(`${name} ${what}`));
          for (const [i, kept] of floats(mask).entries())
            if (kept === 0) assert.ok(Object.is(held[i], 0), `${name} ${what}[${i}] is ${held[i]}`);
        }
      }
    }
    session.dispose();
  });
}

/** Variables hold what the reference gives for the outputs that replace them. */
async function assertState(
  read: (name: string) => Promise<HostTensor>,
  graph: Graph,
  expected: Readonly<Record<string, HostTensor>>,
): Promise<void> {
  for (const node of graph.nodes) {
    const state = [
      0,
      ...node.inputs.flatMap((_, i) => (i > 1 && i < 2 + node.outputs.length - 1 ? [i] : [])),
    ];
    for (const [to, from] of state.entries()) {
      const name = node.inputs[from]!;
      const wanted = expected[node.outputs[to]!]!;
      assertClose(floats(await read(name)), numbersOf(wanted), { rel: 1e-6, abs: 1e-6 }, name);
    }
  }
}

gpuTest(test, "Accumulate, also over more elements than one row of workgroups has", async (gpu) => {
  for (const size of [1, 63, 200, 65_535 * 64 + 77]) {
    const b = graphBuilder("sum");
    b.weight("total", zeros([size]));
    b.node("Accumulate", ["total", b.input("x", [size])], {}, { outputs: ["sum"] });
    b.output(b.node("ReduceMax", ["sum"], { keepdims: 1 }), [1]);
    const session = await compile(gpu, b.build(), { variables: ["total"] });
    const x = tensor(
      Float32Array.from({ length: size }, (_, i) => i % 1021),
      [size],
    );
    for (let i = 0; i < 3; i++) await session.step({ x });
    const total = floats(await session.read("total"));
    assert.is(
      total.findIndex((sum, i) => sum !== 3 * (i % 1021)),
      -1,
    );
    session.dispose();
  }
});

/** w -= g, at a rate of 1 in v; nodes may be put before and behind. */
function oneUpdate(build: (b: GraphBuilder) => void, behind: (b: GraphBuilder) => void = () => {}): Graph {
  const b = graphBuilder("update");
  b.weight("w", v.normal([2, 3]));
  b.weight("v", zeros([2, 3]));
  b.weight("hyper", tensor([1, 0, 0, 0, 0, 0, 0, 0], [hyperLength]));
  b.input("g", [2, 3]);
  build(b);
  b.node("SgdUpdate", ["w", "g", "v", "hyper"], {}, { name: "update", outputs: ["w2", "v2"] });
  behind(b);
  return b.build();
}

gpuTest(test, "an update of what is no variable is refused", async (gpu) => {
  const graph = oneUpdate((b) => b.output("w2", [2, 3]));
  await fails(() => compile(gpu, graph), "E_GRAPH", /"update" replaces "w", which is no variable/);
  await fails(() => compile(gpu, graph, { variables: ["w"] }), "E_GRAPH", /replaces "v"/);
  await fails(() => compile(gpu, graph, { variables: ["v"] }), "E_GRAPH", /replaces "w"/);
  (await compile(gpu, graph, { variables: ["w", "v"] })).dispose();
});

gpuTest(test, "a node that reads the old value after the update is refused", async (gpu) => {
  const variables = ["w", "v"];
  const late = oneUpdate(
    () => {},
    (b) => b.output(b.node("Mul", ["w", "g"], {}, { name: "late" }), [2, 3]),
  );
  await fails(
    () => compile(gpu, late, { variables }),
    "E_GRAPH",
    /"update" replaces "w", whose old value "late" still reads/,
  );
  const twice = oneUpdate(
    () => {},
    (b) => {
      b.node("SgdUpdate", ["w", "g", "v", "hyper"], {}, { name: "again", outputs: ["w3", "v3"] });
      b.output("w3", [2, 3]);
    },
  );
  await fails(() => compile(gpu, twice, { variables }), "E_GRAPH", /"again" still/);
  const early = oneUpdate((b) => b.output(b.node("Mul", ["w", "g"]), [2, 3]));
  const session = await compile(gpu, early, { variables });
  for (let i = 0; i < 3; i++) await session.verify({ g: v.normal([2, 3]) }, { tolerance: 1e-6 });
  session.dispose();
});

gpuTest(test, "the old value is refused under every name it has", async (gpu) => {
  const variables = ["w", "v"];
  const flat = (b: GraphBuilder): string => b.node("Reshape", ["w", b.constant([6])], {}, { name: "flat" });
  const refused = (graph: Graph, words: RegExp) =>
    fails(() => compile(gpu, graph, { variables }), "E_GRAPH", words);
  await refused(
    oneUpdate(flat, (b) => b.output(b.node("Neg", ["flat"], {}, { name: "late" }), [6])),
    /whose old value "late" still reads/,
  );
  await refused(
    oneUpdate((b) => b.output(flat(b), [6])),
    /whose old value is the graph output "flat"/,
  );
  await refused(
    oneUpdate((b) => b.output("w", [2, 3])),
    /whose old value is the graph output "w"/,
  );
  const residual = oneUpdate(
    () => {},
    (b) => {
      const y = b.node("Gemm", ["g", b.constant(v.normal([3, 3]))], {}, { name: "late" });
      b.output(b.node("Add", [y, "w"]), [2, 3]);
    },
  );
  await refused(residual, /whose old value "late" still reads/);
});

gpuTest(test, "a second shape is refused in a session that has state, which stays", async (gpu) => {
  const b = graphBuilder("open");
  b.weight("total", zeros([3]));
  const sum = b.node("ReduceSum", [b.input("x", [null, 3]), b.constant([0])], { keepdims: 0 });
  b.node("Accumulate", ["total", sum], {}, { outputs: ["total2"] });
  b.output("total2", [3]);
  const session = await compile(gpu, b.build(), { variables: ["total"], batch: 2 });
  await session.step({ x: tensor([1, 2, 3, 4, 5, 6], [2, 3]) });
  await fails(() => session.step({ x: tensor([1, 2, 3], [1, 3]) }), "E_INPUT", /takes the shapes/);
  assert.equal([...floats(await session.read("total"))], [5, 7, 9]);
  await session.step({ x: tensor([1, 1, 1, 1, 1, 1], [2, 3]) });
  assert.equal([...floats(await session.read("total"))], [7, 9, 11]);
  session.write("total", zeros([3]));
  await session.step({ x: tensor([1, 1, 1, 1, 1, 1], [2, 3]) });
  assert.equal([...floats((await session.readState()).weights.get("total")!)], [2, 2, 2]);
  await fails(() => session.read("x"), "E_INPUT", /no variable|not a variable/);
  session.dispose();
});

test.run();
