import { GraphError, printable } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { Shape } from "../tensor/shape.ts";
import type { ChannelFlow } from "./channels.ts";
import type { GradientRule } from "./gradient-rule.ts";
import type { Attribute, Node } from "./graph.ts";

/** dtype and known shape of a value. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

export type AttributeKind = "int" | "float" | "string" | "ints" | "floats" | "tensor";

/** What an op knows about one of its nodes while shapes are worked out. */
export interface OpContext {
  readonly node: Node;
  /** Types of the inputs, `undefined` for an operand left out. */
  readonly inputs: readonly (TensorType | undefined)[];
  /** The value of input `i` where it is a constant. */
  value(i: number): HostTensor | undefined;
}

/** One operation: everything the host knows of it. The GPU side is a lowering under `kernels/`. */
export interface OpDefinition {
  /** ONNX op type. */
  readonly name: string;
  /** Least and most operands. Trailing optional ones may be missing or "". */
  readonly inputs: readonly [number, number];
  readonly outputs: readonly [number, number];
  /** The attributes it takes; anything else is refused as unsupported. */
  readonly attributes: Readonly<Record<string, AttributeKind>>;
  /** Inputs whose *values* decide output shapes or are read by the host; they must be constants once compiled. */
  readonly hostInputs?: readonly number[];
  /** Output types, and every check of attributes and operands. Throws E_ATTRIBUTE, E_SHAPE, E_GRAPH, E_INDEX. */
  infer(context: OpContext): TensorType[];
  /**
   * The result in double precision: float inputs come as f64 tensors and float outputs are returned as f64; other dtypes
   * as they are. `outputs` is what `infer` returned. Slow, obvious, the oracle for every kernel.
   */
  reference(
    context: OpContext,
    inputs: readonly (HostTensor | undefined)[],
    outputs: readonly TensorType[],
  ): HostTensor[];
  /** Multiply-adds of one evaluation; absent means none are counted. */
  macs?(context: OpContext, outputs: readonly TensorType[]): number;
  /** Inputs that are prunable weights when constant, with the axis of their output channels and of their input channels. */
  prunable?(
    context: OpContext,
  ): { readonly input: number; readonly outAxis: number; readonly inAxis: number } | undefined;
  /** How channels flow through it; absent means that nothing upstream of it may be removed. */
  readonly channels?: ChannelFlow;
  /** Its part of backpropagation, as nodes; absent means that a graph cannot be trained through it. */
  readonly gradient?: GradientRule;
  /**
   * Outputs that replace the value of an input: [output, input]. That input must be a variable of the session, and no later
   * node may read its old value.
   */
  readonly inPlace?: readonly (readonly [number, number])[];
  /** Made by us for training: no model file may contain it. */
  readonly internal?: boolean;
}

/** Reads attributes of one node, checking kind and range. */
export interface Attributes {
  int(name: string, fallback?: number): number;
  float(name: string, fallback?: number): number;
  string(name: string, fallback?: string): string;
  ints(name: string): readonly number[] | undefined;
  floats(name: string): readonly number[] | undefined;
  tensor(name: string): HostTensor | undefined;
  fail(message: string): never;
}

export function attributesOf(node: Node): Attributes {
  const fail = (message: string): never => {
    throw new GraphError("E_ATTRIBUTE", `${printable(node.op)} "${printable(node.name)}": ${message}`, {
      op: printable(node.op),
      node: printable(node.name),
    });
  };
  const need = (name: string, fallback: Attribute | undefined): Attribute => {
    const value = node.attributes.get(name) ?? fallback;
    if (value === undefined) fail(`attribute ${name} is missing.`);
    return value!;
  };
  const wrong = (name: string, value: unknown, kind: string): never =>
    fail(`attribute ${name} is ${printable(String(value))}; ${kind} is needed.`);
  return {
    int(name, fallback) {
      const value = need(name, fallback);
      return typeof value === "number" && Number.isSafeInteger(value)
        ? value
        : wrong(name, value, "a whole number");
    },
    float(name, fallback) {
      const value = need(name, fallback);
      return typeof value === "number" ? value : wrong(name, value, "a number");
    },
    string(name, fallback) {
      const value = need(name, fallback);
      return typeof value === "string" ? value : wrong(name, value, "a string");
    },
    ints(name) {
      const value = node.attributes.get(name);
      if (value === undefined) return undefined;
      const ok = Array.isArray(value) && value.every((v) => Number.isSafeInteger(v));
      return ok ? (value as readonly number[]) : wrong(name, value, "a list of whole numbers");
    },
    floats(name) {
      const value = node.attributes.get(name);
      if (value === undefined) return undefined;
      const ok = Array.isArray(value) && value.every((v) => typeof v === "number");
      return ok ? (value as readonly number[]) : wrong(name, value, "a list of numbers");
    },
    tensor(name) {
      const value = node.attributes.get(name);
      if (value === undefined) return undefined;
      return typeof value === "object" && "dtype" in value ? value : wrong(name, value, "a tensor");
    },
    fail,
  };
}

/** The constant value of a host input, or E_GRAPH: callers that can specialise ask before they infer. */
export function hostValue(context: OpContext, i: number, what: string): HostTensor {
  const value = context.value(i);
  if (!value) {
    throw new GraphError(
      "E_GRAPH",
      `${context.node.op} "${printable(context.node.name)}": ${what} ("${printable(context.node.inputs[i] ?? "")}") must be known before the graph is compiled.`,
      { op: context.node.op, node: printable(context.node.name) },
    );
  }
  return value;
}
