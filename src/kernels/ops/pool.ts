import { attributesOf } from "../../graph/op.ts";
import { poolGeometry } from "../../graph/ops/support/window.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { LowerContext, Lowering, View } from "../lowering.ts";
import { opContext } from "./movement-context.ts";
import { imageQuads } from "./vectors.ts";

const workgroup = 64;

/** MODE codes of shaders/pool/window.wgsl. */
function modeOf(context: LowerContext): number {
  if (context.node.op === "MaxPool") return 0;
  if (context.node.op === "LpPool") return 3;
  return attributesOf(context.node).int("count_include_pad", 0) !== 0 ? 2 : 1;
}

/** Spatial values as depth, height, width, in front of `last`. */
function four(values: readonly number[], fill: number, last: number): number[] {
  return [...new Array<number>(3 - values.length).fill(fill), ...values, last];
}

const pool: Lowering = {
  ops: ["MaxPool", "AveragePool", "LpPool"],
  layout: "any",
  lower(context) {
    const x = context.inputs[0]!;
    const y = context.outputs[0]!;
    if (sizeOf(y.shape) === 0) return;
    const indices = context.outputs[1];
    const g = poolGeometry(opContext(context));
    const a = attributesOf(context.node);
    const floats = x.word === "f32";
    const vec4 = floats && !indices && imageQuads([x, y]);
    const unit = vec4 ? 4 : 1;
    const batch = vec4 ? Math.ceil(g.batch / 4) : g.batch;
    const count = batch * g.channels * sizeOf(g.outSpatial);
    const steps = (v: View | undefined): number[] =>
      v
        ? four(
            v.strides.slice(2).map((s) => s / unit),
            0,
            v.strides[1]! / unit,
          )
        : [0, 0, 0, 0];
    const perImage = (v: View | undefined): number => (vec4 ? 1 : (v?.strides[0] ?? 0));
    const spatial = (values: readonly number[], fill: number): number[] => four(values, fill, 0);
    context.emit({
      kernel: "pool/window",
      entry: indices ? "main_indices" : vec4 ? "main_vec4" : floats ? "main" : "main_int",
      constants: { MODE: modeOf(context) },
      bindings: vec4
        ? { x4: x.operand, y4: y.operand }
        : floats
          ? { x: x.operand, y: y.operand, ...(indices && { indices: indices.operand }) }
          : { x_int: x.operand, y_int: y.operand },
      params: {
        count,
        batch,
        channels: g.channels,
        x_base: x.offset / unit,
        y_base: y.offset / unit,
        i_base: indices?.offset ?? 0,
        columns_first: context.node.op === "MaxPool" ? a.int("storage_order", 0) : 0,
        p: context.node.op === "LpPool" ? a.int("p", 2) : 0,
        size: spatial(g.spatial, 1),
        out: spatial(g.outSpatial, 1),
        kernel: spatial(g.kernel, 1),
        stride: spatial(g.strides, 1),
        dilation: spatial(g.dilations, 1),
        before: spatial(g.padsBegin, 0),
        after: spatial(g.padsEnd, 0),
        x_steps: steps(x),
        y_steps: steps(y),
        i_steps: steps(indices),
        image_steps: [perImage(x), perImage(y), perImage(indices), 0],
      },
      groups: Math.ceil(count / workgroup),
    });
  },
};

export const poolLowerings: readonly Lowering[] = [pool];
