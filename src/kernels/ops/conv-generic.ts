import { convGeometry } from "../../graph/ops/support/window.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { LowerContext, Lowering, View } from "../lowering.ts";
import { chooseRows, type DirectConv, directConv } from "./conv-direct.ts";
import { chooseDepthwise } from "./depthwise.ts";

/** The convolution of a Conv node as the direct kernels take it. */
export function convProblem(context: LowerContext): DirectConv {
  const [x, weight, bias] = context.inputs as readonly [View, View, View | undefined];
  const geometry = convGeometry(context);
  const y = context.outputs[0]!;
  const { activation, residual } = context;
  return { kernel: "conv/direct-generic", geometry, x, weight, bias, residual, y, activation };
}

/** Every Conv that the columns kernels do not take: run-time weights, depthwise, narrow groups, odd shapes. */
export const convLowering: Lowering = {
  ops: ["Conv"],
  layout: "any",
  fusesActivation: true,
  fusesResidual: true,
  lower(context) {
    if (sizeOf(context.outputs[0]!.shape) === 0) return;
    const problem = convProblem(context);
    const depthwise = chooseDepthwise(problem, context.software ?? false);
    const { geometry: g } = problem;
    context.emit(
      depthwise ? depthwise.dispatch(problem) : directConv(problem, chooseRows(g.outChannels / g.groups)),
    );
  },
};
