import { noActivation } from "../activation.ts";
import { batchPitch } from "../layout.ts";
import { type Launch, type Realised, renamed } from "./launch.ts";
import type { WeightMatrix } from "./pack.ts";
import { type ColumnsProblem, columnsParams, cutColumns } from "./problem.ts";

/**
 * Outputs up to which K may be split. A GPU of a hundred cores wants some ten thousand threads; with eight or more outputs to a
 * thread, as the kernels need to be fast, more outputs than these are enough of them.
 */
const mostOutputs = 2 ** 16;
/** Entries of a part at least: each part writes every output once and has it read again, which they must be worth. */
const leastEntries = 64;

/**
 * The parts of a problem whose K entries are divided evenly, as one problem of as many groups: y is one sum per part, row and
 * column, columns one after the other, images innermost. None where the offsets of the parts are not the same, or where it could not pay.
 */
export function partsOf(p: ColumnsProblem, parts: number): ColumnsProblem | undefined {
  const [depth, height, width] = p.out;
  const k = p.k / parts;
  if (p.groups !== 1 || !Number.isInteger(k) || k < leastEntries) return undefined;
  if (p.rowsPerGroup * depth * height * width * p.batch > mostOutputs) return undefined;
  const step = p.taps[k]! - p.taps[0]!;
  if (step % p.xChannel !== 0) return undefined;
  if (!p.taps.every((tap, i) => tap === p.taps[i % k]! + Math.floor(i / k) * step)) return undefined;
  const image = batchPitch(p.batch);
  const steps = [height * width * image, width * image, image] as const;
  return {
    label: p.label,
    groups: parts,
    rowsPerGroup: p.rowsPerGroup,
    k,
    taps: p.taps.subarray(0, k),
    out: p.out,
    batch: p.batch,
    xBase: p.xBase,
    xSteps: p.xSteps,
    xChannel: p.xChannel,
    xGroup: step,
    y: { base: 0, channel: Math.ceil((depth * steps[0]) / 4) * 4, steps },
    activation: noActivation,
  };
}

/** The weight of `partsOf`: of each row, one part after the other. */
export function splitWeight(w: WeightMatrix, parts: number): WeightMatrix {
  const k = w.k / parts;
  const values = new Float32Array(w.values.length);
  for (let part = 0; part < parts; part++) {
    for (let m = 0; m < w.rows; m++) {
      const at = m * w.k + part * k;
      values.set(w.values.subarray(at, at + k), (part * w.rows + m) * k);
    }
  }
  return { rows: parts * w.rows, k, values };
}

const sumSize = 64;

/** The parts, as they are realised, and their sums behind them: in the same order in every run, as no part waits for another. */
export function sumParts(p: ColumnsProblem, parts: ColumnsProblem, inner: Realised): Realised {
  const group = parts.rowsPerGroup * parts.y.channel;
  const words = parts.groups * group;
  const sum: ColumnsProblem = {
    ...p,
    k: parts.groups,
    taps: Uint32Array.from({ length: parts.groups }, (_, part) => part * group),
    xBase: 0,
    xSteps: parts.y.steps,
    xChannel: parts.y.channel,
    xGroup: group,
  };
  const cut = cutColumns(sum).find(({ load }) => load !== "strips")!;
  const launch: Launch = {
    kernel: cut.load === "quad" ? "conv/sum-parts" : "conv/sum-parts-scalar",
    spec: {},
    constants: { WG_SIZE: sumSize, ACT: p.activation.code, HAS_RESIDUAL: p.residual ? 1 : 0 },
    bindings: { parts: "parts", bias: "bias", residual: p.residual ? "residual" : "bias", y: "y" },
    params: columnsParams(sum, cut, 1),
    groups: Math.ceil((p.rowsPerGroup * cut.columns) / sumSize),
  };
  return {
    ...inner,
    arrays: { ...inner.arrays, no_bias: new Float32Array(parts.groups * parts.rowsPerGroup) },
    scratch: { ...inner.scratch, parts: words },
    launches: [...renamed(inner.launches, { y: "parts", bias: "no_bias" }), launch],
  };
}
