import { internal } from "../../errors.ts";
import type { LowerContext, Operand, View } from "../lowering.ts";
import { type Loop, rankSpec, simplifyLoops, visits } from "./movement-loops.ts";
import { sizes, stepVectors } from "./vectors.ts";

/** What divides the elements of a group, as MEASURE of shaders/norm/normalise.wgsl. */
export const measures = { variance: 0, deviation: 1, l1: 2, l2: 3 } as const;

/** One axis of a normalisation, or a part of one; steps are of x, scale, bias, y. */
export interface NormAxis {
  readonly size: number;
  readonly steps: readonly [number, number, number, number];
  /** Does it run within a group, or from group to group? */
  readonly inner: boolean;
}

/** y = (x - mean) / measure · scale + bias over groups of elements. */
export interface Normalisation {
  readonly axes: readonly NormAxis[];
  readonly x: View;
  readonly scale: View | undefined;
  readonly bias: View | undefined;
  readonly y: View;
  readonly measure: keyof typeof measures;
  /** Is the mean subtracted? */
  readonly centre: boolean;
  readonly epsilon: number;
  /** Mean and 1 / deviation of every group, in the shape of x with ones along the inner axes. */
  readonly mean?: View | undefined;
  readonly inverse?: View | undefined;
}

/** A workgroup of lanes per group pays from this many elements on, unless groups enough fill the device by themselves. */
const longGroup = 64;
const manyGroups = 16_384;
/** On a software adapter workgroup memory only costs; it pays where single threads would leave lanes of the CPU idle. */
const softwareGroups = 16;

/** Should a workgroup share each fold (of `length` elements, `count` of them), and of how many lanes? Undefined: no. */
export function lanesPerFold(count: number, length: number, software: boolean): number | undefined {
  const shared = software
    ? count < softwareGroups && length >= 256
    : count < manyGroups && length >= longGroup;
  return shared ? (length >= 2048 ? 256 : 64) : undefined;
}

const workgroup = 64;

/** Emits the kernel, and another for mean and deviation where a graph wants those. Nothing for empty tensors. */
export function emitNormalisation(
  context: Pick<LowerContext, "emit" | "software" | "scratch">,
  p: Normalisation,
): void {
  const loops = (inner: boolean): Loop[] => simplifyLoops(p.axes.filter((a) => a.inner === inner));
  const outer = loops(false);
  const inner = loops(true);
  const groups = visits(outer);
  const folded = visits(inner);
  if (groups === 0) return;
  const common = {
    spec: { ...rankSpec(outer), INNER: rankSpec(inner).RANK },
    params: {
      groups,
      folded,
      epsilon: p.epsilon,
      inner_shape: sizes(inner),
      inner_steps: stepVectors(inner),
    },
  };
  if (folded > 0) {
    const lanes = lanesPerFold(groups, folded, context.software ?? false);
    context.emit({
      kernel: "norm/normalise",
      entry: lanes ? "main_group" : "main",
      spec: common.spec,
      constants: {
        WG_SIZE: lanes ?? workgroup,
        MEASURE: measures[p.measure],
        CENTRE: p.centre ? 1 : 0,
        HAS_SCALE: p.scale ? 1 : 0,
        HAS_BIAS: p.bias ? 1 : 0,
      },
      bindings: {
        x: p.x.operand,
        scale: (p.scale ?? p.x).operand,
        bias: (p.bias ?? p.x).operand,
        y: p.y.operand,
      },
      params: {
        ...common.params,
        base: [p.x.offset, p.scale?.offset ?? 0, p.bias?.offset ?? 0, p.y.offset],
        shape: sizes(outer),
        steps: stepVectors(outer),
      },
      groups: lanes ? groups : Math.ceil(groups / workgroup),
    });
  }
  if (p.mean || p.inverse) emitStatistics(context, p, groups, common);
}

function emitStatistics(
  context: Pick<LowerContext, "emit" | "scratch">,
  p: Normalisation,
  groups: number,
  common: {
    readonly spec: Record<string, number>;
    readonly params: Record<string, number | readonly number[]>;
  },
): void {
  const { mean, inverse } = p;
  // Every outer axis is an axis of x here, and of the statistics.
  const shape = (mean ?? inverse ?? internal("statistics without an output")).shape;
  const outer = p.axes.flatMap((axis, d): Loop[] => {
    if (axis.inner) return [];
    return [{ size: axis.size, steps: [axis.steps[0], 0, mean?.strides[d] ?? 0, inverse?.strides[d] ?? 0] }];
  });
  if (outer.length > shape.length) internal("statistics of split axes");
  const loops = simplifyLoops(outer);
  // What nobody reads goes to scratch memory, every group to word 0.
  const into = (view: View | undefined, label: string): Operand => view?.operand ?? context.scratch(label, 4);
  context.emit({
    kernel: "norm/normalise",
    entry: "main_statistics",
    spec: { ...common.spec, ...rankSpec(loops) },
    constants: { WG_SIZE: workgroup, MEASURE: measures[p.measure] },
    bindings: {
      x: p.x.operand,
      mean_out: into(mean, "unread mean"),
      inverse_out: into(inverse, "unread deviation"),
    },
    params: {
      ...common.params,
      base: [p.x.offset, 0, mean?.offset ?? 0, inverse?.offset ?? 0],
      shape: sizes(loops),
      steps: stepVectors(loops),
    },
    groups: Math.ceil(groups / workgroup),
  });
}
