import { type Attributes, attributesOf } from "../../graph/op.ts";
import { castTarget } from "../../graph/ops/cast.ts";
import { clipBounds } from "../../graph/ops/clip.ts";
import type { LowerContext, Lowering, Operand } from "../lowering.ts";
import { opContext } from "./movement-context.ts";
import { eight, loopsOf, rankSpec, simplifyLoops, visits, wrapped } from "./movement-loops.ts";
import { quadLoops } from "./quads.ts";
import { imageQuads } from "./vectors.ts";

const workgroup = 64;

/** Largest finite f32: what an open bound of Clip becomes. */
const huge = 3.4028234663852886e38;

type Parameters = (a: Attributes, context: LowerContext) => readonly [number, number];

const none: Parameters = () => [0, 0];
const alpha =
  (fallback: number): Parameters =>
  (a) => [a.float("alpha", fallback), 0];

/** Per op: the FN code of shaders/eltwise/unary.wgsl and where its two parameters come from. */
const table: Readonly<Record<string, readonly [number | ((a: Attributes) => number), Parameters]>> = {
  Abs: [1, none],
  Ceil: [2, none],
  Celu: [3, alpha(1)],
  Cos: [4, none],
  Elu: [5, alpha(1)],
  Erf: [6, none],
  Exp: [7, none],
  Floor: [8, none],
  Gelu: [(a) => (a.string("approximate", "none") === "tanh" ? 10 : 9), none],
  HardSigmoid: [11, (a) => [a.float("alpha", 0.2), a.float("beta", 0.5)]],
  HardSwish: [12, none],
  LeakyRelu: [13, alpha(0.01)],
  Log: [14, none],
  Mish: [15, none],
  Neg: [16, none],
  Reciprocal: [17, none],
  Relu: [18, none],
  Round: [19, none],
  Selu: [20, (a) => [a.float("alpha", 1.6732631921768188), a.float("gamma", 1.0507010221481323)]],
  Shrink: [21, (a) => [floatBelow(a.float("lambd", 0.5)), a.float("bias", 0)]],
  Sigmoid: [22, none],
  Sign: [23, none],
  Sin: [24, none],
  Softplus: [25, none],
  Softsign: [26, none],
  Sqrt: [27, none],
  Swish: [28, alpha(1)],
  Tan: [29, none],
  Tanh: [30, none],
  ThresholdedRelu: [31, (a) => [floatBelow(a.float("alpha", 1)), 0]],
  Clip: [
    32,
    (_, c) => {
      const [low, high] = clipBounds(opContext(c));
      return [Math.max(low, -huge), Math.min(high, huge)];
    },
  ],
  Not: [33, none],
};

/**
 * The largest f32 not above a threshold: an f32 is above the one exactly when it is above the other, so that comparing in
 * single precision decides as comparing in double precision does.
 */
function floatBelow(threshold: number): number {
  const near = Math.fround(threshold);
  if (near <= threshold) return near;
  const bits = new Int32Array(Float32Array.of(near).buffer);
  bits[0]! += near > 0 ? -1 : 1;
  return new Float32Array(bits.buffer)[0]!;
}

/** The two parameters as the entry reads them: floats, for integers also as integers, for casts not at all. */
function parameterBindings(
  context: LowerContext,
  entry: string,
  parameters: readonly [number, number],
): Record<string, Operand> {
  if (entry.startsWith("main_to")) return {};
  const floats = context.upload(`${context.node.name} parameters`, Float32Array.from(parameters));
  if (entry !== "main_int") return { constants: floats };
  const limits = context.inputs[0]!.word === "u32" ? [0, 2 ** 32 - 1] : [-(2 ** 31), 2 ** 31 - 1];
  const whole = parameters.map((p) => Math.max(limits[0]!, Math.min(limits[1]!, Math.trunc(p))));
  const integers = context.upload(
    `${context.node.name} integers`,
    Int32Array.from(whole, (v) => v | 0),
  );
  return { constants: floats, constants_int: integers };
}

/** One pass of shaders/eltwise/unary.wgsl. */
function emitUnary(context: LowerContext, code: number, parameters: readonly [number, number]): void {
  const x = context.inputs[0]!;
  const y = context.outputs[0]!;
  const along = loopsOf(y.shape, x.strides, y.strides);
  if (visits(along) === 0) return;
  const fromFloat = x.word === "f32";
  const toFloat = y.word === "f32";
  const quads = fromFloat && toFloat ? quadLoops(along, [x, y], undefined, imageQuads([x, y])) : undefined;
  const used = quads ?? simplifyLoops(along);
  const unit = quads ? 4 : 1;
  const count = visits(used);
  const entry = quads
    ? "main_vec4"
    : fromFloat
      ? toFloat
        ? "main"
        : "main_to_int"
      : toFloat
        ? "main_to_float"
        : "main_int";
  const source = quads ? "source4" : fromFloat ? "source" : "source_int";
  const dest = quads ? "dest4" : toFloat ? "dest" : "dest_int";
  context.emit({
    kernel: "eltwise/unary",
    entry,
    spec: rankSpec(used),
    constants: { FN: code, UNSIGNED: x.word === "u32" || y.word === "u32" ? 1 : 0 },
    bindings: {
      [source]: x.operand,
      [dest]: y.operand,
      ...parameterBindings(context, entry, parameters),
    },
    params: {
      count,
      from_base: x.offset / unit,
      to_base: y.offset / unit,
      shape: eight(used, (l) => l.size, 1),
      from_steps: eight(used, (l) => wrapped(l.steps[0]!), 0),
      to_steps: eight(used, (l) => wrapped(l.steps[1]!), 0),
    },
    groups: Math.ceil(count / workgroup),
  });
}

const elementwise: Lowering = {
  ops: Object.keys(table),
  layout: "any",
  lower(context) {
    const [code, parameters] = table[context.node.op]!;
    const a = attributesOf(context.node);
    emitUnary(context, typeof code === "number" ? code : code(a), parameters(a, context));
  },
};

const cast: Lowering = {
  ops: ["Cast"],
  layout: "any",
  lower(context) {
    const to = castTarget(opContext(context));
    emitUnary(context, to === "bool" ? 34 : to === "u8" ? 35 : to === "i8" ? 36 : 0, [0, 0]);
  },
};

export const unaryLowerings: readonly Lowering[] = [elementwise, cast];
