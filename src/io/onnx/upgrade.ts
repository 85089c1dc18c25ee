import type { Node } from "../../graph/graph.ts";
import { attributesOf } from "../../graph/op.ts";
import { scalar } from "../../tensor/host-tensor.ts";
import { altered, type Changes, type Draft, refuse } from "./draft.ts";
import { broadcastOperand, channelSlope, flattenedSoftmax, splitGroupNorm } from "./upgrade-shapes.ts";

/** Rewrites `node`, written for `opset`, into nodes of today's form. */
export type Upgrade = (node: Node, opset: number, draft: Draft) => readonly Node[];

/**
 * Brings one node from the semantics of `opset` (6 to 25) to the canonical ones: opset 22, newer ops as they came. ONNX
 * Changelog, operator by operator; an op that is not listed never changed in a way that matters here.
 */
export function upgrade(node: Node, opset: number, draft: Draft): readonly Node[] {
  // Left over from the days before opset 6, without meaning since.
  const plain = node.attributes.has("consumed_inputs")
    ? altered(node, { attributes: [["consumed_inputs", undefined]] })
    : node;
  const rule = rules.get(plain.op);
  return rule ? rule(plain, opset, draft) : [plain];
}

const drop = (node: Node, ...names: string[]): Node =>
  names.some((name) => node.attributes.has(name))
    ? altered(node, { attributes: names.map((name) => [name, undefined] as const) })
    : node;

/** Moves an attribute holding whole numbers to input `at`, where it lives today. */
function intsToInput(node: Node, name: string, at: number, draft: Draft): Node {
  const values = attributesOf(node).ints(name);
  const rest = drop(node, name);
  if (values === undefined) return rest;
  const inputs = [...node.inputs];
  while (inputs.length < at) inputs.push("");
  inputs[at] = draft.ints(values, `${node.name}_${name}`);
  return altered(rest, { inputs });
}

const axesToInput =
  (since: number): Upgrade =>
  (node, opset, draft) => [opset < since ? intsToInput(node, "axes", 1, draft) : node];

const arithmetic: Upgrade = (node, opset, draft) => (opset < 7 ? broadcastOperand(node, draft) : [node]);

const softmax: Upgrade = (node, opset, draft) => (opset < 13 ? flattenedSoftmax(node, draft) : [node]);

const clip: Upgrade = (node, opset, draft) => {
  if (opset >= 11) return [node];
  const a = attributesOf(node);
  const dtype = draft.dtype(node.inputs[0] ?? "") ?? "f32";
  const bound = (name: string): string =>
    node.attributes.has(name) ? draft.constant(scalar(a.float(name), dtype), `${node.name}_${name}`) : "";
  const inputs = trimmed([node.inputs[0] ?? "", bound("min"), bound("max")]);
  return [altered(drop(node, "min", "max"), { inputs })];
};

const dropout: Upgrade = (node, opset, draft) => {
  if (opset < 7 && attributesOf(node).int("is_test", 0) === 0) {
    refuse(node, "it is in training mode (is_test = 0). Export the model for inference.");
  }
  const mask = node.outputs[1] ?? "";
  if (mask !== "" && opset < 10 && draft.isRead(mask))
    refuse(node, "its mask output is read, in a form older than opset 10.");
  // Without training the ratio has no effect; a mask that nobody reads need not be made.
  const outputs = draft.isRead(mask) ? node.outputs : node.outputs.slice(0, 1);
  const rest = altered(drop(node, "is_test", "ratio", "seed"), { outputs });
  if (opset >= 12 || !node.attributes.has("ratio")) return [rest];
  const ratio = draft.constant(scalar(attributesOf(node).float("ratio"), "f32"), `${node.name}_ratio`);
  return [altered(rest, { inputs: [node.inputs[0] ?? "", ratio] })];
};

const batchNormalization: Upgrade = (node, opset, draft) => {
  if (opset >= 14) return [node];
  const extra = node.outputs.slice(1).filter((name) => name !== "");
  if (extra.length > 0 && (opset >= 7 || attributesOf(node).int("is_test", 0) === 0)) {
    refuse(node, "it is in training mode (it has further outputs). Export the model for inference.");
  }
  if (extra.some((name) => draft.isRead(name))) refuse(node, "its further outputs are read.");
  if (attributesOf(node).int("spatial", 1) !== 1) refuse(node, "spatial = 0 is not supported.");
  return [altered(drop(node, "spatial", "is_test"), { outputs: node.outputs.slice(0, 1) })];
};

const pad: Upgrade = (node, opset, draft) => {
  if (opset >= 11) return [node];
  const a = attributesOf(node);
  const value = a.float("value", 0);
  const moved = intsToInput(drop(node, "value"), "pads", 1, draft);
  if (value === 0) return [moved];
  const dtype = draft.dtype(node.inputs[0] ?? "") ?? "f32";
  const fill = draft.constant(scalar(value, dtype), `${node.name}_value`);
  return [altered(moved, { inputs: [...moved.inputs, fill] })];
};

const slice: Upgrade = (node, opset, draft) => {
  if (opset >= 10) return [node];
  return [["starts", "ends", "axes"].reduce((n, name, i) => intsToInput(n, name, i + 1, draft), node)];
};

const split: Upgrade = (node, opset, draft) => {
  const moved = opset < 13 ? intsToInput(node, "split", 1, draft) : node;
  const even = (moved.inputs[1] ?? "") === "" && opset < 18;
  return [even ? altered(moved, { attributes: [["num_outputs", node.outputs.length]] }) : moved];
};

const topK: Upgrade = (node, opset, draft) => {
  if (opset >= 10) return [node];
  const k = draft.ints([attributesOf(node).int("k")], `${node.name}_k`);
  return [altered(drop(node, "k"), { inputs: [node.inputs[0] ?? "", k] })];
};

/** How Upsample and the first Resize find their source pixel. */
const asymmetric: Changes = [
  ["coordinate_transformation_mode", "asymmetric"],
  ["nearest_mode", "floor"],
];

const upsample: Upgrade = (node, opset, draft) => {
  const a = attributesOf(node);
  let scales = node.inputs[1] ?? "";
  if (opset < 9) {
    const given = a.floats("scales");
    if (!given) return refuse(node, "it has no scales.");
    scales = draft.constant(
      { dtype: "f32", shape: [given.length], data: Float32Array.from(given) },
      `${node.name}_scales`,
    );
  }
  const inputs = [node.inputs[0] ?? "", "", scales];
  return [altered(drop(node, "scales"), { op: "Resize", inputs, attributes: asymmetric })];
};

const resize: Upgrade = (node, opset, draft) => {
  if (opset < 11) {
    return [
      altered(node, { inputs: [node.inputs[0] ?? "", "", node.inputs[1] ?? ""], attributes: asymmetric }),
    ];
  }
  // Before opset 13 an operand left out was often written as an empty constant.
  const inputs = node.inputs.map((name, i) =>
    i > 0 && draft.weights.get(name)?.data.length === 0 ? "" : name,
  );
  return [altered(node, { inputs: trimmed(inputs) })];
};

const gemm: Upgrade = (node, opset) => [opset < 7 ? drop(node, "broadcast") : node];

const prelu: Upgrade = (node, opset, draft) => (opset < 7 ? channelSlope(node, draft) : [node]);

const cast: Upgrade = (node) => [drop(node, "saturate", "round_mode")];

const renamed =
  (op: string): Upgrade =>
  (node) => [altered(node, { op })];

const groupNormalization: Upgrade = (node, opset, draft) =>
  opset < 21 ? splitGroupNorm(node, draft) : [drop(node, "stash_type")];

const trimmed = (names: readonly string[]): readonly string[] => {
  let n = names.length;
  while (n > 0 && names[n - 1] === "") n--;
  return names.slice(0, n);
};

const rules = new Map<string, Upgrade>([
  ...["Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less"].map(
    (op) => [op, arithmetic] as const,
  ),
  ...["Softmax", "LogSoftmax", "Hardmax"].map((op) => [op, softmax] as const),
  ...["Squeeze", "Unsqueeze", "ReduceSum"].map((op) => [op, axesToInput(13)] as const),
  ...["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare"].map(
    (kind) => [`Reduce${kind}`, axesToInput(18)] as const,
  ),
  ["BatchNormalization", batchNormalization],
  ["Cast", cast],
  ["Clip", clip],
  ["Dropout", dropout],
  ["Gemm", gemm],
  ["GroupNormalization", groupNormalization],
  ["PRelu", prelu],
  ["Pad", pad],
  ["Resize", resize],
  ["Scatter", renamed("ScatterElements")],
  ["Slice", slice],
  ["Split", split],
  ["TopK", topK],
  ["Upsample", upsample],
]);
