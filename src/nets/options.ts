import type { HostTensor } from "../tensor/host-tensor.ts";

export interface NetOptions {
  /** Seed of the initial weights (default 0): the same seed gives the same bytes. */
  readonly seed?: number;
  /**
   * The net's tensors by name. Widths follow from their shapes. Floats of any width are taken and kept as f32. PyTorch's
   * `*.num_batches_tracked` and `<name>_mask` beside a known name are passed over (a mask of stored zeros says nothing new).
   */
  readonly weights?: ReadonlyMap<string, HostTensor>;
  /** Output widths by module name, where they differ from the published ones and no weights are given. */
  readonly widths?: ReadonlyMap<string, number>;
  /** Zero channels in front and behind, by name of the Pad node of a parameter-free shortcut. */
  readonly pads?: ReadonlyMap<string, readonly [number, number]>;
  /** Initial weights: He-normal (default), or all zero where only the structure matters. */
  readonly init?: "he" | "zeros";
}
