import type { ChannelContext, ChannelIds } from "../../src/graph/channels.ts";
import type { Attribute } from "../../src/graph/graph.ts";
import { findOp } from "../../src/graph/ops/index.ts";
import { type HostTensor, tensor } from "../../src/tensor/host-tensor.ts";
import type { Random } from "../../src/tensor/random.ts";
import { type Attributes, contextOf, evaluateOp } from "./evaluate-op.ts";

/** One op with channels on some inputs; a number is the channel axis of an activation, "weight" a constant. */
export interface ChannelCase {
  readonly op: string;
  readonly inputs: readonly (HostTensor | undefined)[];
  readonly roles: readonly (number | "weight" | undefined)[];
  readonly attributes?: Attributes;
  readonly outputs?: number;
}

export interface ChannelResult {
  readonly flows: readonly (ChannelIds | undefined)[];
  /** Every id that may not be removed. */
  readonly frozen: ReadonlySet<number>;
  /** Ids of the activations, by input. */
  readonly inputIds: readonly (readonly number[] | undefined)[];
  /** Runs the op again with a random set of removable channels gone; returns [expected, got] per output. */
  remove(random: Random): readonly (readonly [HostTensor, HostTensor])[];
}

/** Keeps the positions along `axis` that `keep` says. */
export function takeAlong(t: HostTensor, axis: number, keep: readonly boolean[]): HostTensor {
  const inner = t.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const size = t.shape[axis]!;
  const indices = Array.from({ length: t.data.length }, (_, i) => i).filter(
    (i) => keep[Math.floor(i / inner) % size],
  );
  const data = (t.data as Float64Array).filter((_, i) => keep[Math.floor(i / inner) % size]);
  if (data.length !== indices.length) throw new Error("filter disagrees");
  const count = keep.filter(Boolean).length;
  return { dtype: t.dtype, shape: t.shape.map((d, i) => (i === axis ? count : d)), data };
}

/** Runs the channel rule of an op and can then check it against what removal really does. */
export function runChannels(c: ChannelCase): ChannelResult {
  const attributes = c.attributes ?? {};
  const base = contextOf(c.op, c.inputs, attributes, c.outputs ?? 1);
  const definition = findOp(c.op)!;
  const outputs = definition.infer(base);
  const parent: number[] = [];
  const root = (id: number): number => (parent[id] === id ? id : root(parent[id]!));
  const fresh = (n: number): number[] => Array.from({ length: n }, () => parent.push(parent.length) - 1);
  const frozen = new Set<number>();
  const slices: { input: number; axis: number; ids: readonly number[] }[] = [];
  const hostInputs = new Map<number, (kept: (id: number) => boolean) => readonly number[]>();
  const attributeRewrites = new Map<string, (kept: (id: number) => boolean) => Attribute>();
  const flowsIn = c.roles.map((role, i) =>
    typeof role === "number" ? { axis: role, ids: fresh(c.inputs[i]!.shape[role]!) } : undefined,
  );
  const context: ChannelContext = {
    ...base,
    outputs,
    in: (i) => flowsIn[i],
    shape: (i) => c.inputs[i]!.shape,
    isWeight: (i) => c.roles[i] === "weight",
    fresh,
    unite: (a, b) => {
      parent[root(a)] = root(b);
    },
    freeze: (ids) => {
      for (const id of ids) frozen.add(id);
    },
    slices: (input, axis, ids) => slices.push({ input, axis, ids }),
    attribute: (name, rewrite) => attributeRewrites.set(name, rewrite),
    hostInput: (i, rewrite) => hostInputs.set(i, rewrite),
  };
  const flows = definition.channels!(context);
  const roots = (): Set<number> => new Set([...frozen].map(root));
  return {
    flows,
    get frozen() {
      const held = roots();
      return new Set(parent.map((_, id) => id).filter((id) => held.has(root(id))));
    },
    inputIds: flowsIn.map((f) => f?.ids),
    remove(random) {
      const held = roots();
      const gone = new Set(
        parent.map((_, id) => root(id)).filter((r) => !held.has(r) && random.uniform() < 0.4),
      );
      const kept = (id: number): boolean => !gone.has(root(id));
      const changed = c.inputs.map((t, i) => {
        const flow = flowsIn[i];
        if (t && flow) return takeAlong(t, flow.axis, flow.ids.map(kept));
        const rewrite = hostInputs.get(i);
        if (t && rewrite) return tensor(rewrite(kept), t.shape, t.dtype);
        const sliced = slices.find((s) => s.input === i);
        return t && sliced ? takeAlong(t, sliced.axis, sliced.ids.map(kept)) : t;
      });
      const rewritten = Object.fromEntries([...attributeRewrites].map(([name, f]) => [name, f(kept)]));
      const before = evaluateOp(c.op, c.inputs, attributes, c.outputs ?? 1);
      const after = evaluateOp(c.op, changed, { ...attributes, ...rewritten }, c.outputs ?? 1);
      return before.map((t, i) => {
        const flow = flows[i];
        return [flow ? takeAlong(t, flow.axis, flow.ids.map(kept)) : t, after[i]!] as const;
      });
    },
  };
}
