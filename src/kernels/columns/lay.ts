import type { Realised } from "./launch.ts";
import { type ColumnCut, type ColumnsProblem, interleavedOf, quadsRead, stripsOf } from "./problem.ts";

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

/** Chunks take the place of entries, and x starts at its first tap. */
export function interleavedParams(p: ColumnsProblem, cut: ColumnCut): Readonly<Record<string, number>> {
  const { chunks, channels, words } = interleavedOf(p, cut.load);
  return { k: (chunks * p.k) / channels, x_base: 0, x_group: chunks * words };
}

/** Copies x so that the channels of a chunk lie side by side. */
export function interleave(p: ColumnsProblem, cut: ColumnCut): Laid {
  const strips = cut.load === "strips" ? stripsOf(p) : undefined;
  const { channels, chunks, words } = interleavedOf(p, cut.load);
  const elements = p.groups * chunks * words * 8;
  const u = strips ? 1 : 4;
  return {
    name: "interleaved",
    scratch: { interleaved: elements * 4 },
    launches: [
      {
        kernel: strips ? "conv/interleave-strips" : "conv/interleave",
        spec: {},
        constants: { WG_SIZE: copySize },
        bindings: { x: "x", interleaved: "interleaved" },
        params: {
          channels,
          chunks,
          groups: p.groups,
          words,
          x_base: p.xBase / u,
          x_channel: p.xChannel / u,
          x_group: p.xGroup / u,
          plane: strips?.words ?? words,
          x_plane: p.xSteps[0],
          strip: strips?.step ?? 0,
        },
        groups: Math.ceil(elements / copySize),
      },
    ],
  };
}
