import type { Realised } from "./launch.ts";
import { type ColumnCut, type ColumnsProblem, quadsRead, stripsOf } from "./problem.ts";

/** A copy of x that a kernel reads in its place. */
export interface Laid extends Pick<Realised, "scratch" | "launches"> {
  /** In `scratch`. */
  readonly name: string;
}

const copySize = 64;

/** Copies every plane into strips. */
export function layStrips(p: ColumnsProblem): Laid {
  const s = stripsOf(p);
  const count = s.channels * s.planes * s.words;
  return {
    name: "strips",
    scratch: { strips: count * 4 },
    launches: [
      {
        kernel: "conv/strips",
        spec: {},
        constants: { WG_SIZE: copySize },
        bindings: { x: "x", strips: "strips" },
        params: {
          channels: s.channels,
          planes: s.planes,
          words: s.words,
          x_base: p.xBase,
          x_channel: p.xChannel,
          x_plane: p.xSteps[0],
          strip: s.step,
        },
        groups: Math.ceil(count / copySize),
      },
    ],
  };
}

/** Copies x, rounded to half precision. */
export function layHalves(p: ColumnsProblem, cut: ColumnCut): Laid {
  const count = quadsRead(p, cut);
  return {
    name: "halves",
    scratch: { halves: count * 2 },
    launches: [
      {
        kernel: "conv/halve",
        spec: {},
        constants: { WG_SIZE: copySize },
        bindings: { x: "x", halves: "halves" },
        params: { count, x_base: p.xBase / 4 },
        groups: Math.ceil(count / copySize),
      },
    ],
  };
}
