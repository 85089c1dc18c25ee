import type { GraphProto, ModelProto } from "onnx-buf";
import { FileError, printable, UnsupportedError } from "../../errors.ts";

/** Oldest opset whose semantics are known here. */
export const oldestOpset = 6;
/** Newest opset every op of which is known here. */
export const newestOpset = 25;

/** Ops added or changed after {@link newestOpset}, by opset; a model of such an opset that uses none of them still loads. */
const changedSince: ReadonlyMap<number, ReadonlySet<string>> = new Map([
  [26, new Set(["BitCast", "CumProd"])],
  [27, new Set(["CausalConvWithState", "LinearAttention", "Range"])],
]);

const isDefault = (domain: string): boolean => domain === "" || domain === "ai.onnx";

/** The opset of the default domain, if this engine reads it. Throws E_PROTO where none is given, E_UNSUPPORTED otherwise. */
export function checkOpset(model: ModelProto, graph: GraphProto): number {
  const versions = model.opsetImport.filter(({ domain }) => isDefault(domain)).map(({ version }) => version);
  if (versions.length === 0) {
    throw new FileError(
      "E_PROTO",
      "the model names no opset of the default domain. The file is damaged or truncated.",
    );
  }
  const opset = Number(versions[0]);
  if (versions.some((v) => Number(v) !== opset)) {
    throw new FileError("E_PROTO", `the model names several opsets: ${versions.join(", ")}.`);
  }
  if (opset < oldestOpset) {
    throw new UnsupportedError(
      `opset ${opset} is older than ${oldestOpset}. Convert the model to a newer opset.`,
    );
  }
  for (let v = newestOpset + 1; v <= opset; v++) {
    const changed = changedSince.get(v);
    if (!changed) throw new UnsupportedError(`opset ${opset} is newer than this engine knows (${v - 1}).`);
    const node = graph.node.find((n) => isDefault(n.domain) && changed.has(n.opType));
    if (node) {
      throw new UnsupportedError(`op ${printable(node.opType)} of opset ${v} is not supported.`, {
        op: printable(node.opType),
      });
    }
  }
  for (const f of model.functions) {
    const node = graph.node.find((n) => n.opType === f.name && n.domain === f.domain);
    if (node) {
      throw new UnsupportedError(
        `op ${printable(node.opType)} (node "${printable(node.name)}") is a function of the model; functions are not supported.`,
        {
          op: printable(node.opType),
        },
      );
    }
  }
  return opset;
}
