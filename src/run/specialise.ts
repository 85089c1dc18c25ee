import { InputError, PlanError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import { draft, draftsOf, layoutsKey } from "../plan/activations.ts";
import type { Budget } from "../plan/budget.ts";
import { type Choice, chooseEstimated, chooseForced, chooseStored, type Forced } from "../plan/choose.ts";
import { chooseMeasured } from "../plan/choose-measured.ts";
import type { ColumnsPlace } from "../plan/columns-place.ts";
import type { AdapterKind } from "../plan/estimate.ts";
import { type ActivationLayout, layoutsFor, takesPlanar } from "../plan/layouts.ts";
import { lowerProgram } from "../plan/lower.ts";
import type { Plan } from "../plan/plan.ts";
import type { Program, Step } from "../plan/program.ts";
import { simplify } from "../plan/simplify.ts";
import { tuningOf } from "../plan/tuning.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { Shape } from "../tensor/shape.ts";
import { adapterKind } from "./adapter-kind.ts";
import { type Build, type Built, inBestLayout } from "./best-layout.ts";
import { buildDeviceProgram } from "./device-program.ts";
import { raceLayouts } from "./layout-race.ts";
import type { CompileOptions, Specialised } from "./options.ts";

/**
 * Of software adapters the cost model tells which layout wins well enough (bench/NOTES.md), and measuring takes long there; of GPUs nobody
 * has measured it.
 */
const reachOf = ({ software }: AdapterKind): number => (software ? 1.15 : 2);

/** A graph made ready for one set of input shapes: fusion, layouts, plan, memory, pipelines. */
export async function specialise(
  gpu: Gpu,
  graph: Graph,
  options: CompileOptions,
  budget: Budget | undefined,
  shapes: ReadonlyMap<string, Shape>,
  values: ReadonlyMap<string, HostTensor>,
): Promise<Specialised> {
  const program = simplify(graph, shapes, values, new Set(options.variables ?? []));
  const { plan: mode = "estimated", precision } = options;
  const kind = adapterKind(gpu, precision);
  const tuning = mode === "measured" ? await tuningOf(gpu, options.tuning) : undefined;
  const build: Build = async (one, estimated = false) => {
    const how = estimated ? "estimated" : mode;
    const { choices, tally } =
      how === "measured"
        ? await chooseMeasured(gpu, one.places, kind, tuning!, budget, options.onProgress)
        : { choices: choose(one.places, how, kind), tally: undefined };
    const lowered = lowerProgram(program, one.layouts, choices, kind);
    const device = await buildDeviceProgram(gpu, lowered, graph.name);
    return { activations: one.activations, choices, device, tally };
  };
  const asked = askedLayout(program, options);
  const drafts = asked ? [] : draftsOf(program, kind, forcedOf(mode));
  const measuring = tuning && {
    race: (nets: readonly Built[]) => raceLayouts(gpu, nets, budget),
    tuning,
    key: () => layoutsKey(program, drafts, kind),
    reach: reachOf(kind),
  };
  const { built, reason } = asked
    ? { built: await build(draft(program, asked.layout)), reason: asked.reason }
    : await inBestLayout(drafts, build, measuring);
  const plan: Plan = {
    version: 1,
    mode:
      mode === "measured" || mode === "estimated" ? mode : typeof mode === "string" ? "forced" : mode.mode,
    adapter: gpu.adapter.key,
    batch: [...shapes.values()][0]?.[0] ?? 1,
    ...(precision !== undefined && precision !== "f32" && { precision }),
    ...(reason !== undefined && { activations: { layout: built.activations, reason } }),
    layers: [...built.choices.values()].map((c) => c.layer),
    ...(built.tally && { tuning: built.tally }),
  };
  const names = graph.outputs.map((o) => o.name);
  return {
    device: built.device,
    plan,
    layers: program.steps.map((s) => ({ name: s.name, op: s.node.op, fused: s.fused })),
    outputs: new Map(names.map((name) => [name, program.types.get(name)!])),
    constantOutputs: new Map(
      names.flatMap((name) => (program.constants.has(name) ? [[name, program.constants.get(name)!]] : [])),
    ),
  };
}

/** The layout that the options or their plan say, and why; undefined where it is free to be chosen. */
function askedLayout(
  program: Program,
  { activations, plan }: CompileOptions,
): { readonly layout: ActivationLayout; readonly reason: string | undefined } | undefined {
  const stored = typeof plan === "object" ? plan : undefined;
  const layout = activations ?? (stored && (stored.activations?.layout ?? "batch-innermost"));
  if (layout === undefined) return undefined;
  if (layout === "planar" && !takesPlanar(program)) {
    const why = "a convolution has three pixel axes or a step trains; only batch-innermost activations do";
    throw activations
      ? new InputError(`activations "planar" do not suit this graph: ${why}.`)
      : new PlanError(`the plan's planar activations do not suit this graph: ${why}. Measure a new plan.`);
  }
  if (layoutsFor(program).length === 1) return { layout, reason: undefined };
  return {
    layout,
    reason: activations ? `${layout} was asked for` : (stored?.activations?.reason ?? "as the plan says"),
  };
}

const forcedOf = (plan: NonNullable<CompileOptions["plan"]>): Forced | undefined =>
  typeof plan !== "string" || plan === "measured" || plan === "estimated" ? undefined : plan;

/** The choices that nothing has to run for. */
function choose(
  places: ReadonlyMap<Step, ColumnsPlace>,
  mode: "estimated" | Forced | Plan,
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
