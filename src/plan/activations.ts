import { type Layout, layoutKey, place, rowsLayout, sameMemory } from "../kernels/layout.ts";
import { sizeOf } from "../tensor/shape.ts";
import { costOf, type Forced } from "./choose.ts";
import { type ColumnsPlace, columnsPlaces } from "./columns-place.ts";
import { fieldOf } from "./contenders.ts";
import type { AdapterKind } from "./estimate.ts";
import { type ActivationLayout, assignLayouts, type Layouts, layoutsFor } from "./layouts.ts";
import { operandsOf, type Program, type Step } from "./program.ts";
import { ratesOf } from "./rates.ts";
import { textHash } from "./tuning-key.ts";

/** A program with all of its activations in one layout. */
export interface Draft {
  readonly activations: ActivationLayout;
  readonly layouts: Layouts;
  readonly places: ReadonlyMap<Step, ColumnsPlace>;
}

export function draft(program: Program, activations: ActivationLayout): Draft {
  const layouts = assignLayouts(program, activations);
  return { activations, layouts, places: columnsPlaces(program, layouts) };
}

export interface CostedDraft extends Draft {
  /** Estimated cycles of a run, 0 where there is nothing to compare with. */
  readonly cost: number;
}

/** Every layout that a program can run under, cheapest first by the cost model; `forced` is the family of formats that was asked for. */
export function draftsOf(program: Program, kind: AdapterKind, forced?: Forced): CostedDraft[] {
  const drafts = layoutsFor(program).map((activations) => draft(program, activations));
  if (drafts.length === 1) return [{ ...drafts[0]!, cost: 0 }];
  return drafts
    .map((d) => ({ ...d, cost: netCost(program, d, kind, forced) }))
    .sort((a, b) => a.cost - b.cost);
}

/**
 * Estimated cycles of a whole run: of the kernel of every layer, of what all other steps read and write, and of changing layouts
 * where a step wants another than its operand has.
 */
function netCost(
  program: Program,
  { layouts, places }: Draft,
  kind: AdapterKind,
  forced: Forced | undefined,
): number {
  const { lanes, word, quad, store } = ratesOf(kind);
  const shapeOf = (value: string) => program.types.get(value)!.shape;
  const stored = (value: string, layout: Layout): number => place(shapeOf(value), layout).words;
  const known = new Set<string>();
  let cost = 0;
  for (const step of program.steps) {
    const own = places.get(step);
    if (own) cost += costOf(own, kind, forced);
    for (const value of operandsOf(step)) {
      if (!program.types.has(value) || program.constants.has(value)) continue;
      const wanted = layouts.wanted(step, value);
      const key = `${layoutKey(wanted)} ${value}`;
      const there = layoutKey(layouts.of(value)) === layoutKey(wanted);
      if (!there && !known.has(key) && !sameMemory(shapeOf(value), layouts.of(value), wanted))
        cost += (sizeOf(shapeOf(value)) / lanes) * (word + store);
      known.add(key);
      if (!own) cost += (stored(value, wanted) / lanes) * loadOf(wanted);
    }
    if (!own) cost += (stored(step.output, layouts.of(step.output)) / lanes) * store;
  }
  for (const { name } of program.graph.outputs) {
    if (program.types.has(name) && layoutKey(layouts.of(name)) !== layoutKey(rowsLayout))
      cost += (sizeOf(shapeOf(name)) / lanes) * (word + store);
  }
  return cost;

  /** Per word. */
  function loadOf(layout: Layout): number {
    return layout.kind === "columns" && !layout.planar ? quad / 4 : word;
  }
}

/** Under which the outcome of a race of whole nets in these layouts is known: what their layers' races depend on, and their other steps. */
export function layoutsKey(program: Program, drafts: readonly Draft[], kind: AdapterKind): string {
  const steps = drafts.map(({ activations, places }) => [
    activations,
    program.steps.map((step) => {
      const place = places.get(step);
      if (place) return fieldOf(place, kind).key;
      const shapes = [...operandsOf(step), step.output].map((value) => program.types.get(value)?.shape);
      const attributes = [...step.node.attributes].map(([name, value]) => `${name}=${value}`);
      return [step.node.op, attributes, shapes];
    }),
  ]);
  return `whole net | ${textHash(JSON.stringify(steps))}`;
}
