import { GraphError, internal, printable } from "../errors.ts";
import { opOf } from "../graph/evaluate.ts";
import type { Node } from "../graph/graph.ts";
import { hasHalo, type Layout, layoutKey, place, rowsLayout, sameMemory, viewOf } from "../kernels/layout.ts";
import type { Dispatch, Operand, View } from "../kernels/lowering.ts";
import { findLowering } from "../kernels/ops/index.ts";
import { copyView } from "../kernels/ops/movement.ts";
import { toWords, wordOf } from "../kernels/words.ts";
import type { HostArray } from "../tensor/dtype.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { rowStrides } from "../tensor/shape.ts";
import type { Choice } from "./choose.ts";
import type { AdapterKind } from "./estimate.ts";
import type { Layouts } from "./layouts.ts";
import { type ColumnsStep, type OpStep, operandsOf, type Program, type Step } from "./program.ts";

/** A value in device memory: one per value and layout. */
export interface Placed {
  readonly key: string;
  readonly words: number;
  /** Set where the buffer must hold zeros that nobody writes; buffers are shared only within one geometry. */
  readonly halo: string | undefined;
}

export interface LoweredDispatch {
  /** Index of the step it belongs to. */
  readonly step: number;
  readonly label: string;
  readonly dispatch: Dispatch;
}

/** A program as dispatches over named values, constants and scratch memory; nothing is on the device yet. */
export interface Lowered {
  readonly dispatches: readonly LoweredDispatch[];
  readonly values: ReadonlyMap<string, Placed>;
  readonly constants: readonly { readonly label: string; readonly data: HostArray }[];
  readonly scratches: readonly { readonly label: string; readonly words: number }[];
  /** Key of the rows-layout buffer of each graph input, variable and graph output. */
  readonly inputs: ReadonlyMap<string, string>;
  readonly outputs: ReadonlyMap<string, string>;
}

/** Ops that only give contiguous data another shape. */
const reshaping = new Set(["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"]);

const keyOf = (value: string, layout: Layout): string => `${layoutKey(layout)} ${value}`;

/** Lowers every step in order, inserting layout changes where a reader wants another layout than the producer's. */
export function lowerProgram(
  program: Program,
  layouts: Layouts,
  choices: ReadonlyMap<Step, Choice>,
  { software, subgroup }: Pick<AdapterKind, "software" | "subgroup">,
): Lowered {
  const dispatches: LoweredDispatch[] = [];
  const values = new Map<string, Placed>();
  const alias = new Map<string, string>();
  const constants: { label: string; data: HostArray }[] = [];
  const constantIds = new Map<string, number>();
  const scratches: { label: string; words: number }[] = [];

  const declare = (value: string, layout: Layout): View => {
    const type = program.types.get(value) ?? internal(`value ${value} has no type`);
    const key = keyOf(value, layout);
    const root = alias.get(key) ?? key;
    if (!values.has(root)) {
      const halo = hasHalo(layout) ? `${layoutKey(layout)} ${type.shape}` : undefined;
      values.set(root, { key: root, words: place(type.shape, layout).words, halo });
    }
    return viewOf({ kind: "value", name: root }, wordOf(type.dtype), type.shape, layout);
  };
  const upload = (label: string, data: HostArray): Operand => {
    constants.push({ label, data });
    return { kind: "constant", id: constants.length - 1 };
  };
  const constantView = (name: string, layout: Layout): View => {
    const tensor = program.constants.get(name)!;
    const key = keyOf(name, layout);
    let id = constantIds.get(key);
    if (id === undefined) {
      constants.push({ label: key, data: laidOut(tensor, layout) });
      id = constants.length - 1;
      constantIds.set(key, id);
    }
    return viewOf({ kind: "constant", id }, wordOf(tensor.dtype), tensor.shape, layout);
  };
  const written = new Set<string>();
  for (const input of program.graph.inputs) written.add(keyOf(input.name, rowsLayout));
  for (const name of program.variables) written.add(keyOf(name, rowsLayout));

  /** The view of a value in a layout, copied there first if it lies elsewhere. */
  const read = (value: string, layout: Layout, step: number): View => {
    if (program.constants.has(value)) return constantView(value, layout);
    const produced = layouts.of(value);
    const key = keyOf(value, layout);
    if (!written.has(key)) {
      const type = program.types.get(value)!;
      if (sameMemory(type.shape, produced, layout)) {
        const source = keyOf(value, produced);
        declare(value, produced);
        alias.set(key, alias.get(source) ?? source);
        written.add(key);
        return declare(value, layout);
      }
      const from = declare(value, produced);
      const to = declare(value, layout);
      copyView((dispatch) => emit(step, `${value} to ${layoutKey(layout)}`, dispatch), from, to);
      written.add(key);
    }
    return declare(value, layout);
  };
  const write = (value: string): View => {
    const layout = layouts.of(value);
    written.add(keyOf(value, layout));
    return declare(value, layout);
  };
  const emit = (step: number, label: string, dispatch: Dispatch): void => {
    dispatches.push({ step, label, dispatch });
  };
  const scratch = (label: string, words: number): Operand => {
    scratches.push({ label, words });
    return { kind: "scratch", id: scratches.length - 1 };
  };

  const lowerOp = (step: OpStep, index: number): void => {
    const { node } = step;
    const lowering = findLowering(node.op) ?? internal(`op ${node.op} has no lowering`);
    if (aliasRows(step, index)) return;
    const inputs = node.inputs.map((name) =>
      name === "" ? undefined : read(name, layouts.wanted(step, name), index),
    );
    const residual =
      step.residual === undefined
        ? undefined
        : read(step.residual, layouts.wanted(step, step.residual), index);
    for (const [to, from] of opOf(node).inPlace ?? []) replace(node, to, from, index);
    const outputs = outputsOf(step, node).map((name) => (name === undefined ? undefined : write(name)));
    lowering.lower({
      node,
      inputs,
      outputs,
      residual,
      activation: step.activation,
      software,
      subgroup,
      constant: (i) => program.constants.get(node.inputs[i] ?? ""),
      upload,
      scratch,
      emit: (dispatch) => emit(index, step.name, dispatch),
    });
  };

  /** An output that replaces a variable is that variable's buffer. */
  const replace = (node: Node, to: number, from: number, index: number): void => {
    const [output, input] = [node.outputs[to], node.inputs[from]!];
    if (!output) return;
    const refuse = (why: string): never => {
      throw new GraphError(
        "E_GRAPH",
        `${node.op} "${printable(node.name)}" replaces "${printable(input)}", ${why}.`,
        { op: node.op, node: printable(node.name) },
      );
    };
    if (!program.variables.has(input)) refuse("which is no variable of the session");
    const source = keyOf(input, rowsLayout);
    const root = alias.get(source) ?? source;
    // Its old value under every name: reshapes of rows share the buffer.
    const old = (name: string): boolean => {
      const key = keyOf(name, rowsLayout);
      return (alias.get(key) ?? key) === root;
    };
    const late = program.steps.slice(index + 1).find((s) => operandsOf(s).some(old));
    if (late) refuse(`whose old value "${printable(late.name)}" still reads`);
    const shown = program.graph.outputs.find((o) => old(o.name));
    if (shown) refuse(`whose old value is the graph output "${printable(shown.name)}"`);
    alias.set(keyOf(output, rowsLayout), root);
  };

  /** A reshape of contiguous rows is the same memory under another shape. */
  const aliasRows = (step: OpStep, _index: number): boolean => {
    const [from] = step.node.inputs;
    if (!reshaping.has(step.node.op) || step.node.outputs.length > 1 || step.activation.code !== 0)
      return false;
    if (
      program.constants.has(from!) ||
      layouts.of(from!).kind !== "rows" ||
      layouts.of(step.output).kind !== "rows"
    )
      return false;
    const source = keyOf(from!, rowsLayout);
    declare(from!, rowsLayout);
    alias.set(keyOf(step.output, rowsLayout), alias.get(source) ?? source);
    written.add(keyOf(step.output, rowsLayout));
    return true;
  };

  for (const [index, step] of program.steps.entries()) {
    if (step.kind === "op") lowerOp(step, index);
    else lowerColumns(step, index);
  }

  function lowerColumns(step: ColumnsStep, index: number): void {
    const { variant, realised } = choices.get(step) ?? internal(`layer ${step.name} has no plan`);
    const x = read(step.input, layouts.wanted(step, step.input), index).operand;
    const residual =
      step.residual === undefined
        ? x
        : read(step.residual, layouts.wanted(step, step.residual), index).operand;
    const y = write(step.output).operand;
    const bias =
      step.bias.kind === "constant"
        ? upload(`${step.name} bias`, step.bias.values)
        : read(step.bias.name, rowsLayout, index).operand;
    const { arrays, scratch: memory, launches } = realised;
    const operands: Record<string, Operand> = { x, bias, residual, y };
    if (step.weight.kind === "variable")
      operands["weight"] = read(step.weight.name, rowsLayout, index).operand;
    for (const [name, data] of Object.entries(arrays)) operands[name] = upload(`${step.name} ${name}`, data);
    for (const [name, words] of Object.entries(memory))
      operands[name] = scratch(`${step.name} ${name}`, words);
    for (const { bindings, ...launch } of launches) {
      const named = Object.entries(bindings).map(([variable, name]) => [variable, operands[name]!] as const);
      const label = launch.kernel === variant.kernel ? step.name : `${step.name} ${launch.kernel}`;
      emit(index, label, { ...launch, bindings: Object.fromEntries(named) });
    }
  }

  const inputs = new Map<string, string>();
  for (const name of [...program.graph.inputs.map((i) => i.name), ...program.variables]) {
    if (!program.constants.has(name)) inputs.set(name, declareKey(name));
  }
  function declareKey(name: string): string {
    const view = declare(name, rowsLayout);
    return view.operand.kind === "value" ? view.operand.name : internal("input without a value");
  }
  const outputs = new Map<string, string>();
  for (const { name } of program.graph.outputs) {
    if (program.constants.has(name)) continue;
    const view = read(name, rowsLayout, program.steps.length);
    outputs.set(name, view.operand.kind === "value" ? view.operand.name : internal("output without a value"));
  }
  return { dispatches, values, constants, scratches, inputs, outputs };
}

/** A constant's elements as they lie under a layout, zeros between them. */
function laidOut(t: HostTensor, layout: Layout): HostArray {
  if (layout.kind === "rows") return t.data;
  const { strides, offset, words } = place(t.shape, layout);
  const source = toWords(t.data, "a constant");
  const data = new (source.constructor as Float32ArrayConstructor)(words);
  const row = rowStrides(t.shape);
  for (let i = 0; i < source.length; i++) {
    let at = offset;
    for (const [d, size] of t.shape.entries()) at += (Math.floor(i / row[d]!) % size) * strides[d]!;
    data[at] = source[i]!;
  }
  return data;
}

function outputsOf(step: OpStep, node: Node): (string | undefined)[] {
  return node.outputs.map((name, i) => (i === 0 ? step.output : name === "" ? undefined : name));
}
