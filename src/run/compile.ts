import { InputError, printable } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import { requiredValues } from "../graph/infer.ts";
import { type Budget, budgetOf } from "../plan/budget.ts";
import { type Choice, chooseEstimated, chooseForced, chooseStored } from "../plan/choose.ts";
import { chooseMeasured } from "../plan/choose-measured.ts";
import { type ColumnsPlace, columnsPlaces } from "../plan/columns-place.ts";
import type { AdapterKind } from "../plan/estimate.ts";
import { atPrecision, type Precision, precisions } from "../plan/half-weights.ts";
import { assignLayouts } from "../plan/layouts.ts";
import { lowerProgram } from "../plan/lower.ts";
import type { Plan } from "../plan/plan.ts";
import type { Step } from "../plan/program.ts";
import { simplify } from "../plan/simplify.ts";
import { tuningOf } from "../plan/tuning.ts";
import { withoutDead } from "../prune/compact.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { Shape } from "../tensor/shape.ts";
import { buildDeviceProgram } from "./device-program.ts";
import type { CompileOptions, Specialised } from "./options.ts";
import { makeSession, type Session, type Specialise } from "./session.ts";

/**
 * Compiles a graph for a device: dead structure removed, shapes, fusion, layouts, plan, memory, pipelines. Afterwards `run` allocates and compiles
 * nothing, unless an input's shape (or a value that decides shapes) is new: then the session specialises once more.
 */
export async function compile(gpu: Gpu, graph: Graph, options: CompileOptions = {}): Promise<Session> {
  gpu.check();
  for (const name of options.variables ?? []) {
    if (!graph.weights.has(name)) throw new InputError(`variable "${name}" is no weight of the graph.`);
  }
  for (const name of Object.keys(options.inputShapes ?? {})) {
    if (!graph.inputs.some((i) => i.name === name)) {
      throw new InputError(
        `inputShapes names "${name}", but the inputs are ${graph.inputs.map((i) => i.name).join(", ")}.`,
      );
    }
  }
  if (options.precision !== undefined && !precisions.includes(options.precision)) {
    throw new InputError(
      `precision is ${printable(String(options.precision))}; use one of ${precisions.join(", ")}.`,
    );
  }
  const budget = budgetOf(options.budget);
  if (budget && options.plan !== "measured") {
    throw new InputError(
      `budget bounds the measuring of plan "measured", but the plan is ${planName(options)}.`,
    );
  }
  // What a variable holds may change, so nothing beside one is known to be dead.
  const fixed = (options.variables ?? []).length === 0;
  const exact = atPrecision(graph, options.precision, options.variables);
  const lean = fixed && options.compact !== false ? withoutDead(exact, options.inputShapes) : undefined;
  const specialised: Specialise = (shapes, values) =>
    specialise(gpu, lean?.graph ?? exact, options, budget, shapes, values);
  const dead = lean?.removed ?? 0;
  const session = makeSession(gpu, graph, options, requiredValues(graph), dead, specialised);
  await session.prepare();
  return session;
}

async function specialise(
  gpu: Gpu,
  graph: Graph,
  options: CompileOptions,
  budget: Budget | undefined,
  shapes: ReadonlyMap<string, Shape>,
  values: ReadonlyMap<string, HostTensor>,
): Promise<Specialised> {
  const program = simplify(graph, shapes, values, new Set(options.variables ?? []));
  const layouts = assignLayouts(program);
  const places = columnsPlaces(program, layouts);
  const kind = adapterKind(gpu, options.precision);
  const mode = options.plan ?? "estimated";
  const { choices, tally } =
    mode === "measured"
      ? await chooseMeasured(
          gpu,
          places,
          kind,
          await tuningOf(gpu, options.tuning),
          budget,
          options.onProgress,
        )
      : { choices: choose(places, mode, kind), tally: undefined };
  const lowered = lowerProgram(program, layouts, choices, kind);
  const device = await buildDeviceProgram(gpu, lowered, graph.name);
  const batch = [...shapes.values()][0]?.[0] ?? 1;
  const plan: Plan = {
    version: 1,
    mode:
      mode === "measured" || mode === "estimated" ? mode : typeof mode === "string" ? "forced" : mode.mode,
    adapter: gpu.adapter.key,
    batch,
    ...(options.precision !== undefined && options.precision !== "f32" && { precision: options.precision }),
    layers: [...choices.values()].map((c) => c.layer),
    ...(tally && { tuning: tally }),
  };
  const layers = program.steps.map((s) => ({ name: s.name, op: s.node.op, fused: s.fused }));
  const names = graph.outputs.map((o) => o.name);
  return {
    device,
    plan,
    layers,
    outputs: new Map(names.map((name) => [name, program.types.get(name)!])),
    constantOutputs: new Map(
      names.flatMap((name) => (program.constants.has(name) ? [[name, program.constants.get(name)!]] : [])),
    ),
  };
}

/** The choices that nothing has to run for. */
function choose(
  places: ReadonlyMap<Step, ColumnsPlace>,
  mode: Exclude<CompileOptions["plan"], "measured" | undefined>,
  kind: AdapterKind,
): Map<Step, Choice> {
  const one = (place: ColumnsPlace): Choice =>
    mode === "estimated"
      ? chooseEstimated(place, kind)
      : typeof mode === "string"
        ? chooseForced(place, mode, kind)
        : chooseStored(place, mode, kind);
  return new Map([...places].map(([step, place]) => [step, one(place)]));
}

const planName = ({ plan = "estimated" }: CompileOptions): string =>
  typeof plan === "string" ? `"${plan}"` : "a saved one";

/** What of a device decides which kernels run at a precision, and how fast by the cost model. */
export function adapterKind({ adapter, device }: Gpu, precision?: Precision): AdapterKind {
  const { min = 0, max = 0 } = adapter.subgroups ?? {};
  const matrices = min === max ? (adapter.matrices ?? []) : [];
  return {
    software: adapter.software,
    maxInvocations: device.limits.maxComputeInvocationsPerWorkgroup,
    subgroup: min,
    rounds: precision === "f16",
    units: matrices.map((unit) => ({ ...unit, subgroup: min })),
  };
}
