import type { Node } from "../graph/graph.ts";
import { attributesOf } from "../graph/op.ts";
import { getNumber, type HostTensor } from "../tensor/host-tensor.ts";

/** An activation that a kernel applies before it stores: a code of shaders/lib/activation.wgsl and its two parameters. */
export interface Activation {
  readonly code: number;
  readonly a: number;
  readonly b: number;
}

export const noActivation: Activation = { code: 0, a: 0, b: 0 };

const activation = (code: number, a = 0, b = 0): Activation => ({ code, a, b });

/** Far enough out for f32, and finite, as uniforms should be. */
const farAway = 3.4e38;

/**
 * The fused form of an activation node, or undefined where it has none. `constant(i)` is the value of input `i` if it is
 * known; Clip needs its bounds known.
 */
export function activationOf(
  node: Node,
  constant: (i: number) => HostTensor | undefined,
): Activation | undefined {
  const attributes = attributesOf(node);
  switch (node.op) {
    case "Relu":
      return activation(1);
    case "Clip": {
      const bound = (i: number, open: number): number | undefined => {
        if (!node.inputs[i]) return open;
        const value = constant(i);
        return value && getNumber(value.data, 0);
      };
      const low = bound(1, -farAway);
      const high = bound(2, farAway);
      return low === undefined || high === undefined ? undefined : activation(2, low, high);
    }
    case "LeakyRelu":
      return activation(3, attributes.float("alpha", 0.01));
    case "Sigmoid":
      return activation(4);
    case "Tanh":
      return activation(5);
    case "HardSigmoid":
      return activation(6, attributes.float("alpha", 0.2), attributes.float("beta", 0.5));
    case "HardSwish":
      return activation(7);
    case "Swish":
      return attributes.float("alpha", 1) === 1 ? activation(8) : undefined;
    default:
      return undefined;
  }
}

/** The activation in double precision. */
export function activationValue({ code, a, b }: Activation, x: number): number {
  const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));
  switch (code) {
    case 1:
      return Math.max(x, 0);
    case 2:
      return Math.min(Math.max(x, a), b);
    case 3:
      return x < 0 ? a * x : x;
    case 4:
      return sigmoid(x);
    case 5:
      return Math.tanh(x);
    case 6:
      return Math.max(0, Math.min(1, a * x + b));
    case 7:
      return x * Math.max(0, Math.min(1, x / 6 + 0.5));
    case 8:
      return x * sigmoid(x);
    default:
      return x;
  }
}
