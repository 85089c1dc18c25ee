import { openGpuInNode } from "../../src/gpu/dawn.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { loadModel } from "../../src/io/files.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { environment } from "../../src/report/environment.ts";
import { nodeHost } from "../../src/report/host.ts";
import { compile } from "../../src/run/compile.ts";
import type { CompileOptions } from "../../src/run/options.ts";
import type { Session } from "../../src/run/session.ts";
import { tensor } from "../../src/tensor/host-tensor.ts";
import { version } from "../../src/version.ts";
import type { Case, ModelCase, OpCase, Operands } from "./cases.ts";
import { type AdapterKind, type Engine, type Prepared, timed } from "./engine.ts";
import { cutLength, type Parallel, parallelGraph, parallelOf } from "./parallel.ts";
import { judgeStart } from "./reference.ts";

/**
 * Ours, through the public API with a measured plan. `inNet` false: a whole session of one node, the change between ONNX's
 * layout and ours at both ends included. `inNet` true: the marginal time of one node, as between the layers of a network.
 */
export async function openOurs(adapter: AdapterKind, inNet: boolean): Promise<Engine> {
  const gpu = await openGpuInNode({ adapter });
  return {
    facts: {
      version: `secateur ${version}`,
      adapterKey: gpu.adapter.key,
      adapterReported: true,
      environment: environment(gpu.adapter, nodeHost()),
    },
    prepare: (c: Case, operands: Operands) =>
      c.op === "model" ? prepareModel(gpu, c, operands) : prepareOp(gpu, c, operands, inNet),
  };
}

async function prepareOp(gpu: Gpu, c: OpCase, operands: Operands, inNet: boolean): Promise<Prepared> {
  const parallel = parallelOf(c, operands);
  const variables = c.op === "matmul" && c.runtime ? ["x", "w"] : ["x"];
  const sessionOf = (nodes: number, cut: boolean, plan: CompileOptions["plan"]): Promise<Session> =>
    compile(gpu, parallelGraph(c, parallel, { nodes, cut, resident: true }), { plan, variables });
  const single = await sessionOf(1, false, "measured");
  const output = (await single.run({}))["y0"]!.data as Float32Array;
  const kernel = single.plan.layers.map((l) => `${l.format} ${l.kernel}`).join(", ") || undefined;
  // Passes over operands that stay on the device, waited for once.
  const passes = async (session: Session, repeats: number): Promise<void> => {
    for (let i = 0; i < repeats; i++) await session.step({});
    await gpu.wait();
  };
  if (!inNet) {
    return {
      output,
      kernel,
      sample: (repeats) => timed(repeats, () => passes(single, repeats)),
      release: () => single.dispose(),
    };
  }
  const plan = manyTimes(single.plan, parallel.nodes);
  single.dispose();
  const one = await sessionOf(1, true, plan);
  const many = await sessionOf(parallel.nodes, true, plan);
  await checkCuts(one, c, parallel, 1);
  await checkCuts(many, c, parallel, parallel.nodes);
  return {
    output,
    kernel,
    async sample(repeats) {
      const few = await timed(repeats, () => passes(one, repeats));
      const all = await timed(repeats, () => passes(many, repeats));
      return (all - few) / (parallel.nodes - 1);
    },
    release() {
      one.dispose();
      many.dispose();
    },
  };
}

/** The same choice for every node: what was checked whole is then what is timed. Nothing to choose: measure as usual. */
function manyTimes(plan: Plan, nodes: number): CompileOptions["plan"] {
  const layer = plan.layers[0];
  if (!layer) return "measured";
  return { ...plan, layers: Array.from({ length: nodes }, (_, i) => ({ ...layer, layer: `node${i}` })) };
}

async function checkCuts(session: Session, c: OpCase, parallel: Parallel, nodes: number): Promise<void> {
  const outputs = await session.run({});
  for (let i = 0; i < nodes; i++) {
    const got = outputs[`y${i}`]!.data as Float32Array;
    judgeStart(c, parallel.operands[i]!, got, cutLength);
  }
}

/** Upload, pass and read-back, as every engine does it that takes the file. */
async function prepareModel(gpu: Gpu, c: ModelCase, { x, model }: Operands): Promise<Prepared> {
  const session = await compile(gpu, await loadModel(model!), { plan: "measured", batch: c.batch });
  const input = { [c.input]: tensor(x, [c.batch, ...c.image]) };
  const run = async (): Promise<Float32Array> => (await session.run(input))[c.output]!.data as Float32Array;
  return {
    output: await run(),
    sample: (repeats) =>
      timed(repeats, async () => {
        for (let i = 0; i < repeats; i++) await run();
      }),
    release: () => session.dispose(),
  };
}
