import type { Node } from "../graph/graph.ts";
import type { KernelName } from "../shader/sources.gen.ts";
import type { HostArray } from "../tensor/dtype.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { Shape } from "../tensor/shape.ts";
import type { Activation } from "./activation.ts";

/**
 * Element type on the device: every element is one 32-bit word. Floats of any width are f32; bool, i8, u8, i32 and
 * range-checked i64 are i32; u32 is u32.
 */
export type Word = "f32" | "i32" | "u32";

/** Zeros kept before and after a dimension, so that a convolution needs no bounds test. */
export type Halo = readonly [number, number];

/** Something a kernel can be bound to. */
export type Operand =
  | { readonly kind: "value"; readonly name: string }
  | { readonly kind: "constant"; readonly id: number }
  | { readonly kind: "scratch"; readonly id: number };

/**
 * A value on the device as a kernel sees it: element (i0, i1, …) is at word `offset + Σ i·strides` of its buffer. Values in
 * "rows" layout are contiguous row-major from word 0. Values in "columns" layout keep the channel outermost, the batch
 * innermost or right behind the channel (planar), and may carry a halo of zeros that a kernel must neither read as data nor overwrite.
 */
export interface View {
  readonly operand: Operand;
  readonly word: Word;
  /** Logical ONNX shape. */
  readonly shape: Shape;
  /** In words, one per logical dimension. */
  readonly strides: readonly number[];
  /** In words, of element (0, …, 0). */
  readonly offset: number;
  /** Is it contiguous row-major from word 0? */
  readonly rows: boolean;
}

/** One kernel launch, as data. */
export interface Dispatch {
  readonly kernel: KernelName;
  /** Entry point; "main" unless said. */
  readonly entry?: string;
  /** New literals for the `// @spec` constants of the kernel. */
  readonly spec?: Readonly<Record<string, number>>;
  /** Values of `override` constants. */
  readonly constants?: Readonly<Record<string, number>>;
  /** What is bound to each storage variable, by its WGSL name. */
  readonly bindings: Readonly<Record<string, Operand>>;
  /** Fields of the uniform struct `params`; arrays fill array or vector fields element by element. */
  readonly params?: Readonly<Record<string, number | readonly number[]>>;
  /** vec4s that are copied from the start of what is bound into a texture first, by the WGSL variable that is the texture. */
  readonly texels?: Readonly<Record<string, number>>;
  /**
   * Workgroups to launch: a count, folded by the runtime into x and y when it exceeds the limit per dimension (the
   * kernel then uses `workgroup_id.x + workgroup_id.y * num_workgroups.x` and guards its tail), or x, y, z as they are.
   */
  readonly groups: number | readonly [number, number, number];
}

export interface LowerContext {
  readonly node: Node;
  readonly inputs: readonly (View | undefined)[];
  /** `undefined` for an output that nobody reads and the node leaves out. */
  readonly outputs: readonly (View | undefined)[];
  /** To add to the first output before its activation; only where the lowering says that it fuses one. Of the output's shape. */
  readonly residual?: View | undefined;
  /** To apply to the first output before it is stored; code 0 unless the lowering says that it fuses activations. */
  readonly activation: Activation;
  /** Does a software adapter run it? It has no real workgroup memory. False unless said. */
  readonly software?: boolean;
  /** Lanes that every subgroup of the adapter has; 0, or left out, where it has none. */
  readonly subgroup?: number;
  /** Value of input `i` where it is a constant of the compiled graph. */
  constant(i: number): HostTensor | undefined;
  /** Uploads data once, at compile time. f64 and f16 arrays are converted to f32, i64 and small ints to i32. */
  upload(label: string, data: HostArray): Operand;
  /** Device memory that lives for this node only. */
  scratch(label: string, words: number): Operand;
  emit(dispatch: Dispatch): void;
}

/** How an op runs on the device when nothing more special does. */
export interface Lowering {
  readonly ops: readonly string[];
  /**
   * "any": works from the strides of its views. "rows": needs every operand contiguous row-major. "columns": wants its inputs
   * in columns layout with the channels on axis 1, and gives rows.
   */
  readonly layout: "any" | "rows" | "columns";
  /** The zeros it wants around an input in columns layout, one pair per pixel axis; it reads them instead of testing bounds. */
  readonly halo?: (
    node: Node,
    type: (i: number) => { readonly shape: Shape },
  ) => { readonly input: number; readonly pads: readonly Halo[] } | undefined;
  /** Does it apply `context.activation` itself? */
  readonly fusesActivation?: boolean;
  /** And add `context.residual`? */
  readonly fusesResidual?: boolean;
  lower(context: LowerContext): void;
}
