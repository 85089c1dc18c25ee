import { printable, UnsupportedError } from "../../errors.ts";
import type { DType } from "../../tensor/dtype.ts";
import { getNumber, type HostTensor, setNumber, zeros } from "../../tensor/host-tensor.ts";
import { normaliseAxis, rowStrides, showShape } from "../../tensor/shape.ts";
import { attributesOf, hostValue, type OpContext, type OpDefinition } from "../op.ts";
import { frozen } from "./support/flow.ts";
import { hostInts, operand, refuse, resultArray, resultTensor, store, typed } from "./support/operands.ts";
import { alongAxis } from "./support/reshaping.ts";
import { forEachOffset } from "./support/strided.ts";

/** How one axis is resampled: output position o is Σ_t weights[o·taps + t] · x[positions[o·taps + t]]. */
export interface ResizedAxis {
  readonly axis: number;
  readonly size: number;
  readonly out: number;
  /** Input positions each output is made of: 1 for nearest, 2 for linear. */
  readonly taps: number;
  /** −1 marks an output outside the region of interest, which becomes the extrapolation value. */
  readonly positions: Int32Array;
  readonly weights: Float64Array;
}

export interface ResizePlan {
  readonly shape: readonly number[];
  /** Only the axes that change. */
  readonly axes: readonly ResizedAxis[];
  readonly extrapolation: number;
}

const coordinateModes = [
  "half_pixel",
  "half_pixel_symmetric",
  "pytorch_half_pixel",
  "align_corners",
  "asymmetric",
  "tf_crop_and_resize",
] as const;
type CoordinateMode = (typeof coordinateModes)[number];
const nearestModes = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] as const;

function unsupported(c: OpContext, what: string): never {
  const node = printable(c.node.name);
  throw new UnsupportedError(
    `Resize "${node}": ${what} is not supported; nearest and linear without antialias are.`,
    { op: "Resize", node },
  );
}

function floatList(c: OpContext, i: number, what: string): readonly number[] | undefined {
  if (!c.inputs[i]) return undefined;
  const value = hostValue(c, i, what);
  if (value.data.length > 16)
    refuse(c, "E_SHAPE", `${what} has ${value.data.length} entries; at most one per axis is meant.`);
  return Array.from({ length: value.data.length }, (_, k) => getNumber(value.data, k));
}

/** The axes that scales and sizes speak of, from 0. */
function axesOf(c: OpContext): readonly number[] {
  const { shape } = operand(c, 0);
  const a = attributesOf(c.node);
  const axes = (a.ints("axes") ?? shape.map((_, i) => i)).map((axis) =>
    normaliseAxis(axis, shape.length, `Resize "${c.node.name}"`),
  );
  if (new Set(axes).size !== axes.length) a.fail(`attribute axes is [${axes}]; an axis comes twice.`);
  return axes;
}

/** Everything a Resize node decides on the host. Throws E_UNSUPPORTED for modes that are not offered. */
export function resizePlan(c: OpContext): ResizePlan {
  const { shape } = operand(c, 0);
  const a = attributesOf(c.node);
  const mode = a.string("mode", "nearest");
  if (mode !== "nearest" && mode !== "linear") unsupported(c, `mode "${printable(mode)}"`);
  if (a.int("antialias", 0) !== 0) unsupported(c, "antialias");
  const axes = axesOf(c);
  const coordinate = a.string("coordinate_transformation_mode", "half_pixel") as CoordinateMode;
  if (!coordinateModes.includes(coordinate))
    unsupported(c, `coordinate_transformation_mode "${printable(coordinate)}"`);
  const nearest = a.string("nearest_mode", "round_prefer_floor");
  if (!(nearestModes as readonly string[]).includes(nearest))
    unsupported(c, `nearest_mode "${printable(nearest)}"`);
  const { sizes, scales } = target(c, axes);
  const roi = coordinate === "tf_crop_and_resize" ? floatList(c, 1, "roi") : undefined;
  if (coordinate === "tf_crop_and_resize" && roi?.length !== 2 * axes.length) {
    refuse(c, "E_SHAPE", `tf_crop_and_resize needs a roi of ${2 * axes.length} numbers.`);
  }
  const out = [...shape];
  const resized: ResizedAxis[] = [];
  for (const [i, axis] of axes.entries()) {
    const size = shape[axis]!;
    out[axis] = sizes[i]!;
    const same = sizes[i] === size && scales[i] === 1 && coordinate !== "tf_crop_and_resize";
    if (same) continue;
    const at = positionsOf(coordinate, size, sizes[i]!, scales[i]!, roi && [roi[i]!, roi[i + axes.length]!]);
    resized.push(
      mode === "nearest"
        ? nearestAxis(axis, size, sizes[i]!, at, nearest)
        : linearAxis(axis, size, sizes[i]!, at),
    );
  }
  return { shape: out, axes: resized, extrapolation: a.float("extrapolation_value", 0) };
}

/** Output sizes and scales of the resized axes, from input 2 (scales) or 3 (sizes). */
function target(
  c: OpContext,
  axes: readonly number[],
): { sizes: readonly number[]; scales: readonly number[] } {
  const { shape } = operand(c, 0);
  const given = floatList(c, 2, "scales");
  const policy = attributesOf(c.node).string("keep_aspect_ratio_policy", "stretch");
  if (given && given.length > 0) {
    if (given.length !== axes.length)
      refuse(c, "E_SHAPE", `scales has ${given.length} entries; ${axes.length} are needed.`);
    for (const s of given) {
      if (!(s > 0 && Number.isFinite(s))) refuse(c, "E_ATTRIBUTE", `a scale is ${s}; scales are above 0.`);
    }
    const sizes = given.map((s, i) => Math.floor(shape[axes[i]!]! * s));
    for (const d of sizes) {
      if (d > 2 ** 31 - 1)
        refuse(c, "E_OVERFLOW", `scales make an axis of ${d} elements; at most 2^31 - 1 are supported.`);
    }
    return { scales: given, sizes };
  }
  if (!c.inputs[3]) refuse(c, "E_GRAPH", "neither scales nor sizes is given.");
  const wanted = hostInts(c, 3, "sizes");
  if (wanted.length !== axes.length)
    refuse(c, "E_SHAPE", `sizes has ${wanted.length} entries; ${axes.length} are needed.`);
  if (wanted.some((d) => d < 0)) refuse(c, "E_ATTRIBUTE", `sizes is ${showShape(wanted)}; sizes are from 0.`);
  const ratios = wanted.map((d, i) => d / Math.max(1, shape[axes[i]!]!));
  if (policy === "stretch") return { sizes: wanted, scales: ratios };
  if (policy !== "not_larger" && policy !== "not_smaller")
    unsupported(c, `keep_aspect_ratio_policy "${printable(policy)}"`);
  const scale = policy === "not_larger" ? Math.min(...ratios) : Math.max(...ratios);
  // The specification rounds half up here.
  const sizes = axes.map((axis) => Math.floor(shape[axis]! * scale + 0.5));
  return { sizes, scales: sizes.map(() => scale) };
}

/** Where output positions lie in the input (ONNX operator specification, Resize); NaN outside the region of interest. */
function positionsOf(
  mode: CoordinateMode,
  size: number,
  out: number,
  scale: number,
  roi: readonly [number, number] | undefined,
): Float64Array {
  const length = size * scale;
  return Float64Array.from({ length: out }, (_, o) => {
    switch (mode) {
      case "half_pixel":
        return (o + 0.5) / scale - 0.5;
      case "half_pixel_symmetric": {
        const adjustment = out / length;
        return (size / 2) * (1 - adjustment) + (o + 0.5) / scale - 0.5;
      }
      case "pytorch_half_pixel":
        return out > 1 ? (o + 0.5) / scale - 0.5 : 0;
      case "align_corners":
        return length === 1 || out === 1 ? 0 : (o * (size - 1)) / (out - 1);
      case "asymmetric":
        return o / scale;
      default: {
        const [from, to] = roi!;
        const at =
          out > 1
            ? from * (size - 1) + (o * (to - from) * (size - 1)) / (out - 1)
            : 0.5 * (from + to) * (size - 1);
        return at < 0 || at > size - 1 ? Number.NaN : at;
      }
    }
  });
}

const clamp = (v: number, size: number): number => Math.max(0, Math.min(size - 1, v));

function nearestAxis(axis: number, size: number, out: number, at: Float64Array, mode: string): ResizedAxis {
  const rounded = (v: number): number => {
    const half = v - Math.floor(v) === 0.5;
    if (mode === "floor") return Math.floor(v);
    if (mode === "ceil") return Math.ceil(v);
    return half ? (mode === "round_prefer_floor" ? Math.floor(v) : Math.ceil(v)) : Math.round(v);
  };
  const positions = Int32Array.from(at, (v) => (Number.isNaN(v) ? -1 : clamp(rounded(v), size)));
  return { axis, size, out, taps: 1, positions, weights: new Float64Array(out).fill(1) };
}

function linearAxis(axis: number, size: number, out: number, at: Float64Array): ResizedAxis {
  const positions = new Int32Array(2 * out);
  const weights = new Float64Array(2 * out);
  for (const [o, v] of at.entries()) {
    const low = Math.floor(v);
    const outside = Number.isNaN(v);
    positions[2 * o] = outside ? -1 : clamp(low, size);
    positions[2 * o + 1] = outside ? -1 : clamp(low + 1, size);
    weights[2 * o + 1] = outside ? 0 : v - low;
    weights[2 * o] = outside ? 0 : 1 - (v - low);
  }
  return { axis, size, out, taps: 2, positions, weights };
}

/** What each input position [size] gives to each output [out]; nothing where that lies outside the region of interest. */
function transposedWeights({ size, out, taps, positions, weights }: ResizedAxis, dtype: DType): HostTensor {
  const matrix = zeros([size, out], dtype);
  for (const [i, position] of positions.entries()) {
    if (position < 0) continue;
    const at = position * out + Math.floor(i / taps);
    setNumber(matrix.data, at, getNumber(matrix.data, at) + weights[i]!);
  }
  return matrix;
}

/** Resamples any axes by nearest neighbour or linear interpolation. */
export const resize: OpDefinition = {
  name: "Resize",
  inputs: [1, 4],
  outputs: [1, 1],
  attributes: {
    antialias: "int",
    axes: "ints",
    coordinate_transformation_mode: "string",
    cubic_coeff_a: "float",
    exclude_outside: "int",
    extrapolation_value: "float",
    keep_aspect_ratio_policy: "string",
    mode: "string",
    nearest_mode: "string",
  },
  hostInputs: [1, 2, 3],
  infer(c) {
    const { dtype, shape } = operand(c, 0);
    // The size is checked before the plan's tables are made.
    const axes = axesOf(c);
    const out = [...shape];
    for (const [i, d] of target(c, axes).sizes.entries()) out[axes[i]!] = d;
    typed(c, dtype, out);
    return [typed(c, dtype, resizePlan(c).shape)];
  },
  reference(c, [x], [type]) {
    const { axes, extrapolation } = resizePlan(c);
    const strides = rowStrides(x!.shape);
    const out = resultArray(type!);
    const fixed = type!.shape.map((_, i) => (axes.some((r) => r.axis === i) ? 0 : strides[i]!));
    const index = rowStrides(type!.shape);
    forEachOffset(type!.shape, [0], [fixed], (i, [base]) => {
      let total = 0;
      let outside = false;
      const walk = (depth: number, at: number, weight: number): void => {
        const r = axes[depth];
        if (!r) {
          if (weight !== 0) total += weight * getNumber(x!.data, at);
          return;
        }
        const o = Math.floor(i / index[r.axis]!) % type!.shape[r.axis]!;
        for (let t = 0; t < r.taps; t++) {
          const position = r.positions[o * r.taps + t]!;
          if (position < 0) outside = true;
          else walk(depth + 1, at + position * strides[r.axis]!, weight * r.weights[o * r.taps + t]!);
        }
      };
      walk(0, base!, 1);
      store(type!.dtype, out, i, outside ? extrapolation : total);
    });
    return [resultTensor(type!, out)];
  },
  channels(c) {
    const flow = c.in(0);
    // Sizes name the channel count unless `axes` leaves it out.
    const named = c.inputs[3] && axesOf(c).includes(flow?.axis ?? -1);
    if (!flow || named || resizePlan(c).axes.some((r) => r.axis === flow.axis)) return frozen(c);
    return [flow];
  },
  gradient(g) {
    const shape = [...g.outputs[0]!.shape];
    let dx = g.dy;
    for (const resized of resizePlan(g).axes) {
      const { axis, size } = resized;
      dx = alongAxis(g, g.constant(transposedWeights(resized, g.inputs[0]!.dtype)), size, dx, shape, axis);
      shape[axis] = size;
    }
    return [dx];
  },
};
