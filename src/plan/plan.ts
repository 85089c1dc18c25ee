import * as v from "valibot";
import { PlanError } from "../errors.ts";
import { type Format, formats } from "../kernels/columns/formats.ts";
import { type Precision, precisions } from "./half-weights.ts";
import { type ActivationLayout, activationLayouts } from "./layouts.ts";

/** Milliseconds of one candidate as measured (median of `samples`, with its 10th and 90th percentile). */
export interface Candidate {
  readonly format: Format;
  readonly kernel: string;
  readonly ms?: number;
  readonly p10?: number;
  readonly p90?: number;
  readonly samples?: number;
  /** What the cost model expects, in arbitrary units that rank candidates. */
  readonly estimate?: number;
}

/** What runs one layer, and what it was chosen from. */
export interface LayerPlan {
  readonly layer: string;
  readonly op: string;
  readonly format: Format;
  /** Kernel variant, e.g. "gather-block/r8v2w16". */
  readonly kernel: string;
  /** Share of the weights that are not zero. */
  readonly density: number;
  /** Bytes of the weights in this format, indices included. */
  readonly bytes: number;
  /** One sentence: measured fastest, estimated, or forced. */
  readonly reason: string;
  readonly candidates: readonly Candidate[];
}

/** What making a measured plan took. */
export interface TuningTally {
  /** Races run: at most two per distinct layer. */
  readonly races: number;
  /** Layers that these races were about, equal ones counted each. */
  readonly now: number;
  /** Layers whose measurements were known. */
  readonly before: number;
  /** Layers that the budget did not reach: the cost model chose. */
  readonly skipped: number;
  readonly seconds: number;
}

/** Per layer: format, kernel, and the measurement that chose it. Plain data: JSON in, JSON out. */
export interface Plan {
  readonly version: 1;
  readonly mode: "measured" | "estimated" | "forced";
  /** Adapter the choice was made on. */
  readonly adapter: string;
  readonly batch: number;
  /** Set where weights were rounded; f32 without. */
  readonly precision?: Precision;
  /** How activations lie, and why so; without, batch-innermost, which for a batch of one is the same as planar. */
  readonly activations?: { readonly layout: ActivationLayout; readonly reason: string };
  readonly layers: readonly LayerPlan[];
  readonly tuning?: TuningTally;
}

const number = v.pipe(v.number(), v.finite());
const format = v.picklist(formats);
const schema = v.object({
  version: v.literal(1),
  mode: v.picklist(["measured", "estimated", "forced"]),
  adapter: v.string(),
  batch: number,
  precision: v.optional(v.picklist(precisions)),
  activations: v.optional(v.object({ layout: v.picklist(activationLayouts), reason: v.string() })),
  tuning: v.optional(
    v.object({ races: number, now: number, before: number, skipped: number, seconds: number }),
  ),
  layers: v.array(
    v.object({
      layer: v.string(),
      op: v.string(),
      format,
      kernel: v.string(),
      density: number,
      bytes: number,
      reason: v.string(),
      candidates: v.array(
        v.object({
          format,
          kernel: v.string(),
          ms: v.optional(number),
          p10: v.optional(number),
          p90: v.optional(number),
          samples: v.optional(number),
          estimate: v.optional(number),
        }),
      ),
    }),
  ),
});

/** Reads a plan from JSON text. Throws E_PLAN naming the first field that is wrong. */
export function parsePlan(text: string): Plan {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new PlanError(`the plan is not JSON: ${cause instanceof Error ? cause.message : String(cause)}.`);
  }
  const result = v.safeParse(schema, json);
  if (result.success) return result.output;
  const issue = result.issues[0];
  throw new PlanError(
    `the plan does not fit its schema at ${v.getDotPath(issue) ?? "its top"}: ${issue.message}.`,
  );
}

export const planToJson = (plan: Plan): string => `${JSON.stringify(plan, undefined, 2)}\n`;

/** A table of what runs where and why, one line per layer. */
export function describePlan(plan: Plan): string {
  const head = ["layer", "op", "format", "kernel", "density", "KiB", "ms", "dense ms", "why"];
  const rows = plan.layers.map((l) => {
    const chosen = l.candidates.find((c) => c.format === l.format && c.kernel === l.kernel);
    // Of a sparse layer the dense kernel that ran in turn with it, which is told first; others ran at another time.
    const dense =
      l.format === "dense" ? chosen : l.candidates.find((c) => c.format === "dense" && c.ms !== undefined);
    return [
      l.layer,
      l.op,
      l.format,
      l.kernel,
      `${(l.density * 100).toFixed(1)} %`,
      (l.bytes / 1024).toFixed(1),
      chosen?.ms?.toFixed(3) ?? "-",
      dense?.ms?.toFixed(3) ?? "-",
      l.reason,
    ];
  });
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i]!.length)));
  const line = (cells: string[]): string =>
    cells
      .map((c, i) => c.padEnd(widths[i]!))
      .join("  ")
      .trimEnd();
  const rounded = plan.precision ? roundings[plan.precision] : "";
  const lie = plan.activations ? `, ${plan.activations.layout} activations (${plan.activations.reason})` : "";
  const title = `plan: ${plan.mode} on ${plan.adapter}, batch ${plan.batch}${rounded}${lie}`;
  const { tuning } = plan;
  return [tuning ? `${title}; ${describeTally(tuning)}` : title, line(head), ...rows.map(line)].join("\n");
}

const roundings: Readonly<Record<Precision, string>> = {
  f32: "",
  "f16-weights": ", weights rounded to f16",
  f16: ", weights rounded to f16, activations where a kernel wants it",
};

/** "12 layers measured by 20 races in 8.3 s, 40 known from before, 3 left to the cost model". */
function describeTally({ races, now, before, skipped, seconds }: TuningTally): string {
  const parts = [
    races > 0 && `${now} layers measured by ${races} races in ${seconds.toFixed(1)} s`,
    before > 0 && `${before} known from before`,
    skipped > 0 && `${skipped} left to the cost model`,
  ];
  return parts.filter(Boolean).join(", ") || "nothing to measure";
}
