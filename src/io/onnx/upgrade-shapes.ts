import type { Node } from "../../graph/graph.ts";
import { attributesOf } from "../../graph/op.ts";
import { allocate } from "../../tensor/dtype.ts";
import { type HostTensor, reshaped } from "../../tensor/host-tensor.ts";
import { altered, type Draft, refuse } from "./draft.ts";

/** The upgrades that depend on the shapes of operands. */

const node = (
  name: string,
  op: string,
  inputs: readonly string[],
  output: string,
  attributes = {},
): Node => ({
  name,
  op,
  inputs,
  outputs: [output],
  attributes: new Map(Object.entries(attributes)),
});

/**
 * Opset 6: `broadcast = 1` aligns B with A from `axis` on (from the end where it is missing), where today's broadcasting
 * always aligns at the end. B gets the trailing dimensions of 1 that make the two agree.
 */
export function broadcastOperand(old: Node, draft: Draft): readonly Node[] {
  const a = attributesOf(old);
  const given = old.attributes.has("axis") && a.int("broadcast", 0) !== 0 ? a.int("axis") : undefined;
  const plain = altered(old, {
    attributes: [
      ["axis", undefined],
      ["broadcast", undefined],
    ],
  });
  if (given === undefined) return [plain];
  const [left = "", right = ""] = old.inputs;
  const rank = draft.shape(left)?.length;
  const own = draft.shape(right)?.length;
  if (rank === undefined || own === undefined)
    return refuse(old, `the ranks behind axis = ${given} are not known.`);
  const trailing = rank - (given < 0 ? given + rank : given) - own;
  if (trailing < 0) return refuse(old, `axis = ${given} does not fit ranks ${rank} and ${own}.`);
  if (trailing === 0) return [plain];
  const constant = draft.weights.get(right);
  if (constant) {
    const shape = [...constant.shape, ...new Array<number>(trailing).fill(1)];
    return [
      altered(plain, { inputs: [left, draft.constant(reshaped(constant, shape), `${right}_aligned`)] }),
    ];
  }
  const axes = draft.ints(
    Array.from({ length: trailing }, (_, i) => own + i),
    `${old.name}_axes`,
  );
  const aligned = draft.fresh(`${right}_aligned`);
  return [
    node(`${old.name}_align`, "Unsqueeze", [right, axes], aligned),
    altered(plain, { inputs: [left, aligned] }),
  ];
}

/** Opset 6: a slope of one number per channel belongs to axis 1; today it would be aligned at the end. */
export function channelSlope(old: Node, draft: Draft): readonly Node[] {
  const [x = "", slope = ""] = old.inputs;
  const own = draft.shape(slope);
  if (own && (own.length === 0 || (own.length === 1 && own[0] === 1))) return [old];
  const rank = draft.shape(x)?.length;
  const constant = draft.weights.get(slope);
  if (!own || rank === undefined) return refuse(old, "the shapes of its operands are not known.");
  if (own.length !== 1 || rank <= 2) return [old];
  if (!constant) return refuse(old, "its slope is computed at run time.");
  const shape = [constant.data.length, ...new Array<number>(rank - 2).fill(1)];
  return [altered(old, { inputs: [x, draft.constant(reshaped(constant, shape), `${slope}_aligned`)] })];
}

/**
 * Before opset 13, Softmax, LogSoftmax and Hardmax viewed their input as a matrix, rows up to `axis` and columns from it
 * on. That equals today's op along the last axis when `axis` is the last one; otherwise the view is made explicit.
 */
export function flattenedSoftmax(old: Node, draft: Draft): readonly Node[] {
  const axis = attributesOf(old).int("axis", 1);
  const [x = ""] = old.inputs;
  const rank = draft.shape(x)?.length;
  const last = axis === -1 || (rank !== undefined && axis === rank - 1);
  if (last) return [altered(old, { attributes: [["axis", -1]] })];
  const flat = draft.fresh(`${old.name}_flat`);
  const result = draft.fresh(`${old.name}_rows`);
  const shape = draft.fresh(`${old.name}_shape`);
  return [
    node(`${old.name}_flatten`, "Flatten", [x], flat, { axis }),
    altered(old, { inputs: [flat], outputs: [result], attributes: [["axis", -1]] }),
    node(`${old.name}_shape`, "Shape", [x], shape),
    node(`${old.name}_restore`, "Reshape", [result, shape], old.outputs[0] ?? ""),
  ];
}

/**
 * Opset 18 has one scale and bias per group, opset 21 one per channel. Constant ones are repeated; otherwise the op is
 * written as its definition: groups as channels of an InstanceNormalization.
 */
export function splitGroupNorm(old: Node, draft: Draft): readonly Node[] {
  const [x = "", scale = "", bias = ""] = old.inputs;
  const groups = attributesOf(old).int("num_groups");
  const channels = draft.shape(x)?.[1];
  const [s, b] = [draft.weights.get(scale), draft.weights.get(bias)];
  if (s && b && channels && groups > 0 && channels % groups === 0 && s.data.length === groups) {
    const each = channels / groups;
    return [
      altered(old, {
        inputs: [
          x,
          draft.constant(repeated(s, each), `${scale}_channels`),
          draft.constant(repeated(b, each), `${bias}_channels`),
        ],
        attributes: [["stash_type", undefined]],
      }),
    ];
  }
  const grouped = draft.fresh(`${old.name}_grouped`);
  const normal = draft.fresh(`${old.name}_normal`);
  const shape = draft.fresh(`${old.name}_shape`);
  const epsilon = attributesOf(old).float("epsilon", 1e-5);
  return [
    node(`${old.name}_group`, "Reshape", [x, draft.ints([0, groups, -1], `${old.name}_groups`)], grouped),
    node(old.name, "InstanceNormalization", [grouped, scale, bias], normal, { epsilon }),
    node(`${old.name}_shape`, "Shape", [x], shape),
    node(`${old.name}_ungroup`, "Reshape", [normal, shape], old.outputs[0] ?? ""),
  ];
}

/** Every element `times` times in a row. */
function repeated(t: HostTensor, times: number): HostTensor {
  const out = allocate(t.dtype, t.data.length * times);
  for (let i = 0; i < out.length; i++) out[i] = t.data[Math.floor(i / times)]!;
  return { dtype: t.dtype, shape: [out.length], data: out };
}
