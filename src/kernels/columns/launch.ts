import type { KernelName } from "../../shader/sources.gen.ts";

/** One dispatch of a realised variant. */
export interface Launch {
  readonly kernel: KernelName;
  readonly spec: Readonly<Record<string, number>>;
  readonly constants: Readonly<Record<string, number>>;
  /** By WGSL variable: "x", "y", "bias", "residual" or "weight" of the layer, or an array or scratch memory of `Realised`. */
  readonly bindings: Readonly<Record<string, string>>;
  readonly params: Readonly<Record<string, number>>;
  /** vec4s that are copied from the start of what is bound into a texture first, by the WGSL variable that is the texture. */
  readonly texels?: Readonly<Record<string, number>>;
  readonly groups: readonly [number, number, number] | number;
}

/** A variant on one problem: what to upload, what memory it needs meanwhile, and its dispatches in order. */
export interface Realised {
  readonly arrays: Readonly<Record<string, Float32Array | Uint32Array>>;
  /** In words. */
  readonly scratch: Readonly<Record<string, number>>;
  readonly launches: readonly Launch[];
  /** Of the weights in this format, indices and padding included. */
  readonly bytes: number;
  /** Stored values over all values. */
  readonly density: number;
}

/** Launches that are bound to other things than the layer's own. */
export const renamed = (launches: readonly Launch[], names: Readonly<Record<string, string>>): Launch[] =>
  launches.map((launch) => ({
    ...launch,
    bindings: Object.fromEntries(
      Object.entries(launch.bindings).map(([variable, name]) => [variable, names[name] ?? name]),
    ),
  }));
