import { convTransposeGeometry } from "../../graph/ops/conv-transpose.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { Lowering, View } from "../lowering.ts";
import { chooseRows, directConv } from "./conv-direct.ts";

/** ConvTranspose by gathering: every output looks for the inputs that reach it. */
export const convTransposeLowering: Lowering = {
  ops: ["ConvTranspose"],
  layout: "any",
  fusesActivation: true,
  fusesResidual: true,
  lower(context) {
    const [x, weight, bias] = context.inputs as readonly [View, View, View | undefined];
    const y = context.outputs[0]!;
    if (sizeOf(y.shape) === 0) return;
    const geometry = convTransposeGeometry(context);
    const problem = {
      kernel: "conv-transpose/gather",
      geometry,
      x,
      weight,
      bias,
      residual: context.residual,
      y,
      activation: context.activation,
    } as const;
    context.emit(directConv(problem, chooseRows(geometry.outChannels / geometry.groups)));
  },
};
