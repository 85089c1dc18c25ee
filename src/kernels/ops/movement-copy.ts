import { maxRank } from "../../tensor/shape.ts";
import type { Dispatch, Operand } from "../lowering.ts";
import { eight, type Loop, rankSpec, simplifyLoops, visits, wrapped } from "./movement-loops.ts";

/** One end of a copy: a buffer and the word its first element is at. */
export interface End {
  readonly operand: Operand;
  readonly offset: number;
}

/** A copy as kernels take it: `loops` have two steps each (from, to) and are simplified. */
export interface CopyProblem {
  readonly from: End;
  readonly to: End;
  readonly loops: readonly Loop[];
}

/** One way to run a copy. */
export interface CopyVariant {
  readonly name: string;
  applicable(problem: CopyProblem): boolean;
  dispatch(problem: CopyProblem): Dispatch;
}

const workgroup = 64;
const fourths = (n: number): boolean => n % 4 === 0;
const fromStep = (l: Loop): number => l.steps[0]!;
const toStep = (l: Loop): number => l.steps[1]!;

const bindings = ({ from, to }: CopyProblem): Dispatch["bindings"] => ({
  source: from.operand,
  dest: to.operand,
});

function params(
  { from, to }: CopyProblem,
  loops: readonly Loop[],
  count: number,
): NonNullable<Dispatch["params"]> {
  return {
    count,
    from_base: from.offset,
    to_base: to.offset,
    shape: eight(loops, (l) => l.size, 1),
    from_steps: eight(loops, (l) => wrapped(fromStep(l)), 0),
    to_steps: eight(loops, (l) => wrapped(toStep(l)), 0),
  };
}

/** One word per thread: any copy. */
const words: CopyVariant = {
  name: "words",
  applicable: ({ loops }) => loops.length <= maxRank,
  dispatch(problem) {
    const count = visits(problem.loops);
    return {
      kernel: "layout/copy-strided",
      spec: rankSpec(problem.loops),
      bindings: bindings(problem),
      params: params(problem, problem.loops, count),
      groups: Math.ceil(count / workgroup),
    };
  },
};

const evenBases = ({ from, to }: CopyProblem): boolean => fourths(from.offset) && fourths(to.offset);

/** Four words per thread where the innermost loop is contiguous on both sides and everything else comes in fours. */
const quads: CopyVariant = {
  name: "quads",
  applicable(problem) {
    const { loops } = problem;
    const inner = loops.at(-1);
    if (loops.length > maxRank || !inner || fromStep(inner) !== 1 || toStep(inner) !== 1) return false;
    const others = loops.slice(0, -1).every((l) => fourths(fromStep(l)) && fourths(toStep(l)));
    return fourths(inner.size) && evenBases(problem) && others;
  },
  dispatch(problem) {
    const loops = problem.loops.map((l, i) =>
      i === problem.loops.length - 1
        ? { size: l.size / 4, steps: l.steps }
        : { size: l.size, steps: l.steps.map((s) => s / 4) },
    );
    const count = visits(loops);
    const { from, to } = problem;
    return {
      kernel: "layout/copy-strided",
      entry: "main_vec4",
      spec: rankSpec(loops),
      bindings: { source4: from.operand, dest4: to.operand },
      params: { ...params(problem, loops, count), from_base: from.offset / 4, to_base: to.offset / 4 },
      groups: Math.ceil(count / workgroup),
    };
  },
};

/** Four single words per thread where the innermost loop is contiguous and comes in fours, and nothing else does. */
const runs: CopyVariant = {
  name: "runs",
  applicable({ loops }) {
    const inner = loops.at(-1);
    if (loops.length > maxRank || !inner) return false;
    return fromStep(inner) === 1 && toStep(inner) === 1 && fourths(inner.size);
  },
  dispatch(problem) {
    const loops = problem.loops.map((l, i) =>
      i === problem.loops.length - 1 ? { size: l.size / 4, steps: [4, 4] } : l,
    );
    const count = visits(loops);
    return {
      kernel: "layout/copy-strided",
      entry: "main_run",
      spec: rankSpec(loops),
      bindings: bindings(problem),
      params: params(problem, loops, count),
      groups: Math.ceil(count / workgroup),
    };
  },
};

/** The loops of a transposition, outer ones first, then the one contiguous in `from`, then the one contiguous in `to`. */
function transposition({ loops }: CopyProblem): Loop[] | undefined {
  const inner = loops.at(-1);
  const across = loops.findIndex((l) => fromStep(l) === 1);
  if (loops.length > maxRank || !inner || toStep(inner) !== 1 || across < 0 || across === loops.length - 1)
    return undefined;
  const outer = loops.filter((_, i) => i !== across && i !== loops.length - 1);
  return [...outer, loops[across]!, inner];
}

/** 4 x 4 words per thread, transposed in registers. */
const transposeQuads: CopyVariant = {
  name: "transpose quads",
  applicable(problem) {
    const loops = transposition(problem);
    if (!loops || !evenBases(problem)) return false;
    const [across, inner] = loops.slice(-2) as [Loop, Loop];
    const outer = loops.slice(0, -2).every((l) => fourths(fromStep(l)) && fourths(toStep(l)));
    return (
      outer &&
      fourths(across.size) &&
      fourths(inner.size) &&
      fourths(toStep(across)) &&
      fourths(fromStep(inner))
    );
  },
  dispatch(problem) {
    const all = transposition(problem)!;
    const loops = all.map((l, i): Loop => {
      if (i < all.length - 2) return { size: l.size, steps: l.steps.map((s) => s / 4) };
      // A round is four words of its own axis, so a step counted in vec4s is the step of one word.
      return { size: l.size / 4, steps: l.steps };
    });
    const count = visits(loops);
    const { from, to } = problem;
    return {
      kernel: "layout/transpose-quads",
      spec: rankSpec(loops, 2),
      bindings: bindings(problem),
      params: { ...params(problem, loops, count), from_base: from.offset / 4, to_base: to.offset / 4 },
      groups: Math.ceil(count / workgroup),
    };
  },
};

const tile = 32;

/** 32 x 32 words per workgroup, through workgroup memory. */
const transposeTiled: CopyVariant = {
  name: "transpose tiled",
  applicable: (problem) => transposition(problem) !== undefined,
  dispatch(problem) {
    const loops = transposition(problem)!;
    const [across, inner] = loops.slice(-2) as [Loop, Loop];
    const tiles = Math.ceil(inner.size / tile) * Math.ceil(across.size / tile) * visits(loops.slice(0, -2));
    return {
      kernel: "layout/transpose-tiled",
      spec: rankSpec(loops, 2),
      bindings: bindings(problem),
      params: params(problem, loops, tiles),
      groups: tiles,
    };
  },
};

/** Every way to copy, best first where several apply. */
export const copyVariants: readonly CopyVariant[] = [quads, runs, transposeQuads, transposeTiled, words];

/** Sides from which a tile of workgroup memory repays its barrier. */
const leastTiledSide = 16;

function choose(problem: CopyProblem): CopyVariant {
  const found = copyVariants.find((variant) => {
    if (!variant.applicable(problem)) return false;
    if (variant !== transposeTiled) return true;
    return transposition(problem)!
      .slice(-2)
      .every((l) => l.size >= leastTiledSide);
  });
  return found ?? words;
}

/** Copies along loops of any number and order, by as many dispatches as kernels of eight loops need; none when empty. */
export function copyLoops(
  emit: (dispatch: Dispatch) => void,
  from: End,
  to: End,
  loops: readonly Loop[],
): void {
  if (loops.some((l) => l.size === 0)) return;
  const simple = simplifyLoops(loops);
  if (simple.length > maxRank) {
    // Only repetition along several axes of a tensor of high rank comes here, so the outermost loop is unrolled.
    const [outer, ...rest] = simple as [Loop, ...Loop[]];
    for (let i = 0; i < outer.size; i++) {
      const at = (end: End, step: number): End => ({ operand: end.operand, offset: end.offset + i * step });
      copyLoops(emit, at(from, fromStep(outer)), at(to, toStep(outer)), rest);
    }
    return;
  }
  const problem = { from, to, loops: simple };
  emit(choose(problem).dispatch(problem));
}
