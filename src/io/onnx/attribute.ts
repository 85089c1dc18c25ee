import { type AttributeProto, AttributeProto_AttributeType as Type } from "onnx-buf";
import { GraphError, printable, UnsupportedError } from "../../errors.ts";
import type { Attribute } from "../../graph/graph.ts";
import { type ExternalData, tensorOf } from "./tensor.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Whole numbers beyond 2^53 - 1 occur as "to the end" (the largest int64); the nearest number we can hold means the same
 * wherever an attribute is compared with a dimension.
 */
function wholeNumber(value: bigint): number {
  const limit = Number.MAX_SAFE_INTEGER;
  return value > BigInt(limit) ? limit : value < BigInt(-limit) ? -limit : Number(value);
}

/**
 * The shortest decimal number that the float32 in the file stands for: 0.1, not 0.10000000149. It is what the author wrote,
 * rounds to the same float32 wherever one is needed, and so comes back the same from every file format.
 */
function decimal(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Object.is(Math.fround(short), value)) return short;
  }
  return value;
}

function text(bytes: Uint8Array, what: string): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new GraphError("E_ATTRIBUTE", `${what} is not UTF-8 text.`, {}, { cause });
  }
}

/** Files of the first IR versions leave the type out; then the one field that is filled tells. */
function typeOf(proto: AttributeProto): Type {
  if (proto.type !== Type.UNDEFINED) return proto.type;
  const filled: readonly (readonly [Type, boolean])[] = [
    [Type.FLOATS, proto.floats.length > 0],
    [Type.INTS, proto.ints.length > 0],
    [Type.STRINGS, proto.strings.length > 0],
    [Type.TENSOR, proto.t !== undefined],
    [Type.GRAPH, proto.g !== undefined],
    [Type.STRING, proto.s.length > 0],
    [Type.FLOAT, proto.f !== 0],
    [Type.INT, proto.i !== 0n],
  ];
  return filled.find(([, is]) => is)?.[0] ?? Type.UNDEFINED;
}

/** The value of an attribute. Throws E_UNSUPPORTED for graphs and other kinds no op of ours takes. */
export function attributeOf(
  proto: AttributeProto,
  op: string,
  nodeName: string,
  external?: ExternalData,
): Attribute {
  const what = `attribute "${printable(proto.name)}" of ${printable(op)} "${printable(nodeName)}"`;
  const details = { op: printable(op), node: printable(nodeName) };
  if (proto.refAttrName !== "") {
    throw new GraphError(
      "E_GRAPH",
      `${what} refers to a function's attribute outside any function.`,
      details,
    );
  }
  switch (typeOf(proto)) {
    case Type.FLOAT:
      return decimal(proto.f);
    case Type.INT:
      return wholeNumber(proto.i);
    case Type.STRING:
      return text(proto.s, what);
    case Type.FLOATS:
      // Long lists are data, not settings somebody wrote.
      return proto.floats.length > 64 ? proto.floats : proto.floats.map(decimal);
    case Type.INTS:
      return proto.ints.map(wholeNumber);
    case Type.STRINGS:
      return proto.strings.map((s) => text(s, what));
    case Type.TENSOR:
      if (proto.t) return tensorOf(proto.t, what, external);
      throw new GraphError("E_ATTRIBUTE", `${what} announces a tensor but holds none.`, details);
    case Type.GRAPH:
    case Type.GRAPHS:
      throw new UnsupportedError(`${what} is a subgraph; control flow is not supported.`, details);
    default:
      throw new UnsupportedError(
        `${what} is of kind ${Type[proto.type] ?? proto.type}, which is not supported.`,
        details,
      );
  }
}
