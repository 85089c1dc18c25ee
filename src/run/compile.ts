import { InputError, printable } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import { requiredValues } from "../graph/infer.ts";
import { budgetOf } from "../plan/budget.ts";
import { atPrecision, precisions } from "../plan/half-weights.ts";
import { activationLayouts } from "../plan/layouts.ts";
import { withoutDead } from "../prune/compact.ts";
import type { CompileOptions } from "./options.ts";
import { makeSession, type Session, type Specialise } from "./session.ts";
import { specialise } from "./specialise.ts";

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
  if (options.activations !== undefined && !activationLayouts.includes(options.activations)) {
    throw new InputError(
      `activations is ${printable(String(options.activations))}; use one of ${activationLayouts.join(", ")}.`,
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

const planName = ({ plan = "estimated" }: CompileOptions): string =>
  typeof plan === "string" ? `"${plan}"` : "a saved one";
