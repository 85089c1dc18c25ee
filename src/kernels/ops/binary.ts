import { attributesOf } from "../../graph/op.ts";
import { broadcastStrides } from "../../tensor/shape.ts";
import type { LowerContext, Lowering, View } from "../lowering.ts";
import { copyView } from "./movement.ts";
import { eight, loopsOf, rankSpec, simplifyLoops, visits, wrapped } from "./movement-loops.ts";
import { quadLoops } from "./quads.ts";
import { imageQuads } from "./vectors.ts";

const workgroup = 64;

/** FN codes of shaders/eltwise/binary.wgsl. */
const codes: Readonly<Record<string, number>> = {
  Add: 0,
  Sum: 0,
  Mean: 0,
  Sub: 1,
  Mul: 2,
  Div: 3,
  Pow: 4,
  Max: 5,
  Min: 6,
  Mod: 7,
  PRelu: 8,
  ReluGrad: 9,
  And: 13,
  Or: 14,
  Xor: 15,
  Equal: 20,
  Less: 21,
  LessOrEqual: 22,
  Greater: 23,
  GreaterOrEqual: 24,
};

export const [addCode, subtractCode, multiplyCode] = [0, 1, 2] as const;
const leastCompare = 20;
/** Of integers; floats know 9 as ReluGrad. */
const integerModulo = 9;

/** `v` read as if it had been broadcast to the shape of `to`. */
const spread = (v: View, to: View): View => ({
  ...v,
  shape: to.shape,
  strides: broadcastStrides(v.shape, v.strides, to.shape),
});

/** One pass y = f(a, b) · factor of shaders/eltwise/binary.wgsl; without `a`, y = f(y, b) · factor. */
export function emitBinary(
  context: Pick<LowerContext, "emit">,
  code: number,
  a: View | undefined,
  b: View,
  y: View,
  factor = 1,
): void {
  const left = spread(a ?? y, y);
  const right = spread(b, y);
  const along = loopsOf(y.shape, left.strides, right.strides, y.strides);
  if (visits(along) === 0) return;
  const floats = b.word === "f32";
  const views = [left, right, y];
  const quads =
    a && floats && y.word === "f32" ? quadLoops(along, views, undefined, imageQuads(views)) : undefined;
  const used = quads ?? simplifyLoops(along);
  const unit = quads ? 4 : 1;
  const count = visits(used);
  const suffix = quads ? "4" : floats ? "" : "_int";
  const entry = quads
    ? "main_vec4"
    : !floats
      ? a
        ? "main_int"
        : "main_int_into"
      : code >= leastCompare
        ? "main_compare"
        : a
          ? "main"
          : "main_into";
  const bindings = {
    ...(a && { [`left${suffix}`]: a.operand }),
    [`right${suffix}`]: b.operand,
    [y.word === "f32" ? `y${suffix}` : "y_int"]: y.operand,
  };
  context.emit({
    kernel: "eltwise/binary",
    entry,
    spec: rankSpec(used),
    constants: { FN: code },
    bindings,
    params: {
      count,
      a_base: left.offset / unit,
      b_base: right.offset / unit,
      y_base: y.offset / unit,
      shape: eight(used, (l) => l.size, 1),
      a_steps: eight(used, (l) => wrapped(l.steps[0]!), 0),
      b_steps: eight(used, (l) => wrapped(l.steps[1]!), 0),
      y_steps: eight(used, (l) => wrapped(l.steps[2]!), 0),
      factor,
    },
    groups: Math.ceil(count / workgroup),
  });
}

const binary: Lowering = {
  ops: [
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Mod",
    "PRelu",
    "ReluGrad",
    "And",
    "Or",
    "Xor",
    "Equal",
    "Less",
    "LessOrEqual",
    "Greater",
    "GreaterOrEqual",
  ],
  layout: "any",
  lower(context) {
    const [a, b] = context.inputs as readonly [View, View];
    const { op } = context.node;
    const python = op === "Mod" && attributesOf(context.node).int("fmod", 0) === 0;
    emitBinary(
      context,
      python ? integerModulo : codes[op]!,
      a,
      floatLike(context, b, a),
      context.outputs[0]!,
    );
  },
};

/** Pow's exponent may be an integer beside a float base: it is converted into scratch memory first. */
function floatLike(context: LowerContext, b: View, a: View): View {
  if (a.word === b.word || a.word === "u32" || b.word === "u32") return b;
  const words = b.shape.reduce((n, d) => n * d, 1);
  const converted: View = {
    ...b,
    word: a.word,
    operand: context.scratch(`${context.node.name} exponent`, Math.max(1, words)),
    strides: b.shape.map((_, i) => b.shape.slice(i + 1).reduce((n, d) => n * d, 1)),
    offset: 0,
  };
  const loops = simplifyLoops(loopsOf(b.shape, b.strides, converted.strides));
  const toFloat = a.word === "f32";
  if (words > 0) {
    context.emit({
      kernel: "eltwise/unary",
      entry: toFloat ? "main_to_float" : "main_to_int",
      spec: rankSpec(loops),
      constants: { FN: 0 },
      bindings: {
        [toFloat ? "source_int" : "source"]: b.operand,
        [toFloat ? "dest" : "dest_int"]: converted.operand,
      },
      params: {
        count: visits(loops),
        from_base: b.offset,
        to_base: 0,
        shape: eight(loops, (l) => l.size, 1),
        from_steps: eight(loops, (l) => wrapped(l.steps[0]!), 0),
        to_steps: eight(loops, (l) => wrapped(l.steps[1]!), 0),
      },
      groups: Math.ceil(visits(loops) / workgroup),
    });
  }
  return converted;
}

/** Sum, Max, Min and Mean of any number of operands: the first two, then each further one into the result. */
const variadic: Lowering = {
  ops: ["Sum", "Max", "Min", "Mean"],
  layout: "any",
  lower(context) {
    const operands = context.inputs as readonly View[];
    const y = context.outputs[0]!;
    const code = codes[context.node.op]!;
    const factor = (last: boolean): number => (last && context.node.op === "Mean" ? 1 / operands.length : 1);
    const [first, second, ...rest] = operands;
    if (!second) {
      copyView(context.emit, spread(first!, y), y);
      return;
    }
    emitBinary(context, code, first, second, y, factor(rest.length === 0));
    for (const [i, b] of rest.entries())
      emitBinary(context, code, undefined, b, y, factor(i === rest.length - 1));
  },
};

const where: Lowering = {
  ops: ["Where"],
  layout: "any",
  lower(context) {
    const y = context.outputs[0]!;
    const [c, a, b] = context.inputs.map((v) => spread(v!, y)) as [View, View, View];
    const loops = simplifyLoops(loopsOf(y.shape, c.strides, a.strides, b.strides, y.strides));
    const count = visits(loops);
    if (count === 0) return;
    const steps = (v: number): number[] => eight(loops, (l) => wrapped(l.steps[v]!), 0);
    context.emit({
      kernel: "eltwise/where",
      spec: rankSpec(loops),
      bindings: { condition: c.operand, a: a.operand, b: b.operand, y: y.operand },
      params: {
        count,
        c_base: c.offset,
        a_base: a.offset,
        b_base: b.offset,
        y_base: y.offset,
        shape: eight(loops, (l) => l.size, 1),
        c_steps: steps(0),
        a_steps: steps(1),
        b_steps: steps(2),
        y_steps: steps(3),
      },
      groups: Math.ceil(count / workgroup),
    });
  },
};

export const binaryLowerings: readonly Lowering[] = [binary, variadic, where];
