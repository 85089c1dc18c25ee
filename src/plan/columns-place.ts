import type { ColumnsProblem } from "../kernels/columns/problem.ts";
import { place, viewOf } from "../kernels/layout.ts";
import type { View } from "../kernels/lowering.ts";
import { wordOf } from "../kernels/words.ts";
import { problemOf } from "./columns-problem.ts";
import type { Layouts } from "./layouts.ts";
import type { ColumnsStep, Program, Step } from "./program.ts";

/** A columns step with the problem it is, once layouts are known. */
export interface ColumnsPlace {
  readonly step: ColumnsStep;
  readonly problem: ColumnsProblem;
  /** Words of the buffers a candidate is measured with. */
  readonly words: { readonly x: number; readonly y: number; readonly residual: number };
}

/** The columns problem of every columns step, known as soon as layouts are. */
export function columnsPlaces(program: Program, layouts: Layouts): Map<Step, ColumnsPlace> {
  const places = new Map<Step, ColumnsPlace>();
  for (const step of program.steps) {
    if (step.kind !== "columns") continue;
    const at = (value: string): { view: View; words: number } => {
      const layout = layouts.wanted(step, value);
      const type = program.types.get(value)!;
      const view = viewOf({ kind: "value", name: value }, wordOf(type.dtype), type.shape, layout);
      return { view, words: place(type.shape, layout).words };
    };
    const x = at(step.input);
    const out = program.types.get(step.output)!;
    const layout = layouts.of(step.output);
    const y = viewOf({ kind: "value", name: step.output }, "f32", out.shape, layout);
    const residual = step.residual === undefined ? undefined : at(step.residual);
    places.set(step, {
      step,
      problem: problemOf(step, x.view, y, residual?.view, layout.kind === "columns" && layout.planar),
      words: { x: x.words, y: place(out.shape, layout).words, residual: residual?.words ?? 0 },
    });
  }
  return places;
}
