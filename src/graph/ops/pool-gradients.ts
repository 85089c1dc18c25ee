import { sizeOf } from "../../tensor/shape.ts";
import { type AttributeKind, attributesOf, type OpDefinition } from "../op.ts";
import { doubles } from "./support/doubles.ts";
import { doubleTensor, floatOperands } from "./support/floats.ts";
import { frozen } from "./support/flow.ts";
import { refuse, typed } from "./support/operands.ts";
import { forEachWindow } from "./support/pooling.ts";
import { tapsWithPadding, threeAxes } from "./support/taps.ts";
import { type PoolGeometry, poolGeometry, type ShapedNode } from "./support/window.ts";

const windowAttributes = {
  auto_pad: "string",
  ceil_mode: "int",
  dilations: "ints",
  kernel_shape: "ints",
  pads: "ints",
  strides: "ints",
} as const satisfies Readonly<Record<string, AttributeKind>>;

/** Spatial position in the input, flattened, of the tap (kd, kh, kr) of output (od, oh, or). */
const positionOf = (g: PoolGeometry) => {
  const [d, h, r] = threeAxes(g);
  return (o: readonly number[], kd: number, kh: number, kr: number): number =>
    ((o[0]! * d.stride - d.begin + kd * d.dilation) * h.size + o[1]! * h.stride - h.begin + kh * h.dilation) *
      r.size +
    o[2]! * r.stride -
    r.begin +
    kr * r.dilation;
};

/**
 * dx of MaxPool from (x, y, dy): every output hands its gradient to the first element, in order of the window, that equals
 * it. Attributes are MaxPool's.
 */
export const maxPoolGradient: OpDefinition = {
  name: "MaxPoolGrad",
  internal: true,
  inputs: [3, 3],
  outputs: [1, 1],
  attributes: { ...windowAttributes, storage_order: "int" },
  infer(c) {
    const { dtype, shape } = floatOperands(c, 3);
    poolGeometry(c);
    return [typed(c, dtype, shape)];
  },
  reference(c, inputs, outputs) {
    const g = poolGeometry(c);
    const at = positionOf(g);
    const [x, , dy] = inputs.map((t) => doubles(t!)) as [Float64Array, Float64Array, Float64Array];
    const dx = new Float64Array(x.length);
    forEachWindow(g, (index, from, o, taps) => {
      let best = Number.NEGATIVE_INFINITY;
      let where = -1;
      for (let kd = taps.first[0]; kd < taps.last[0]; kd++)
        for (let kh = taps.first[1]; kh < taps.last[1]; kh++)
          for (let kr = taps.first[2]; kr < taps.last[2]; kr++) {
            const i = from + at(o, kd, kh, kr);
            if (x[i]! > best) {
              best = x[i]!;
              where = i;
            }
          }
      if (where >= 0) dx[where]! += dy[index]!;
    });
    return [doubleTensor(outputs[0]!.shape, dx)];
  },
  channels: frozen,
};

/** The geometry of the pool whose input had the shape that the attribute says. */
export function averagePoolGradientGeometry(context: ShapedNode): PoolGeometry {
  const shape = attributesOf(context.node).ints("shape");
  return poolGeometry({ node: context.node, inputs: [{ shape: shape ?? context.inputs[0]!.shape }] });
}

/** dx [shape] of AveragePool from dy: every output spreads its gradient evenly over what it averaged. */
export const averagePoolGradient: OpDefinition = {
  name: "AveragePoolGrad",
  internal: true,
  inputs: [1, 1],
  outputs: [1, 1],
  attributes: { ...windowAttributes, count_include_pad: "int", shape: "ints" },
  infer(c) {
    const { dtype, shape } = floatOperands(c, 1);
    const g = averagePoolGradientGeometry(c);
    const expected = [g.batch, g.channels, ...g.outSpatial];
    if (expected.length !== shape.length || expected.some((d, i) => d !== shape[i]))
      refuse(c, "E_SHAPE", `dy has shape [${shape}]; the pool gives [${expected}].`);
    return [typed(c, dtype, [g.batch, g.channels, ...g.spatial])];
  },
  reference(c, inputs, outputs) {
    const g = averagePoolGradientGeometry(c);
    const at = positionOf(g);
    const axes = threeAxes(g);
    const padded = attributesOf(c.node).int("count_include_pad", 0) !== 0;
    const dy = doubles(inputs[0]!);
    const dx = new Float64Array(sizeOf(outputs[0]!.shape));
    forEachWindow(g, (index, from, o, taps) => {
      const count = axes.reduce(
        (n, axis, i) => n * (padded ? tapsWithPadding(axis, o[i]!) : taps.last[i]! - taps.first[i]!),
        1,
      );
      for (let kd = taps.first[0]; kd < taps.last[0]; kd++)
        for (let kh = taps.first[1]; kh < taps.last[1]; kh++)
          for (let kr = taps.first[2]; kr < taps.last[2]; kr++)
            dx[from + at(o, kd, kh, kr)]! += dy[index]! / count;
    });
    return [doubleTensor(outputs[0]!.shape, dx)];
  },
  channels: frozen,
};
