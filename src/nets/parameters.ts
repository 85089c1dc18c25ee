import { GraphError, printable } from "../errors.ts";
import { isFloat } from "../tensor/dtype.ts";
import { cast, type HostTensor } from "../tensor/host-tensor.ts";
import { seeded } from "../tensor/random.ts";
import { type Shape, sameShape, showShape, sizeOf } from "../tensor/shape.ts";
import type { NetOptions } from "./options.ts";

/** How a parameter starts when no weights are given. */
export type Start = "he" | "zero" | "one";

/** Hands out a net's parameters, from given weights or freshly drawn, and collects what does not fit. */
export interface Parameters {
  /** Output width of a module: that of its given weight, else the one asked for in `widths`, else `usual`. */
  width(module: string, usual: number): number;
  take(name: string, shape: Shape, start: Start): HostTensor;
  /** Notes that the given widths contradict each other. */
  misfit(message: string): void;
  /** Throws E_SHAPE or E_GRAPH with everything that did not fit. */
  finish(net: string): void;
}

const shown = 5;
const list = (names: readonly string[]): string =>
  names.slice(0, shown).join(", ") + (names.length > shown ? ` and ${names.length - shown} more` : "");

/** Companions of a tensor that say nothing about the net: PyTorch's step counters, masks that repeat where zeros are. */
function isCompanion(name: string, weights: ReadonlyMap<string, HostTensor>): boolean {
  if (name.endsWith(".num_batches_tracked")) return true;
  return name.endsWith("_mask") && weights.has(name.slice(0, -"_mask".length));
}

/** Normal with standard deviation √(2 / fan-in): He et al., "Delving deep into rectifiers" (ICCV 2015), section 2.2. */
function heNormal(shape: Shape, normal: () => number): Float32Array {
  const deviation = Math.sqrt(2 / Math.max(1, sizeOf(shape.slice(1))));
  return Float32Array.from({ length: sizeOf(shape) }, () => deviation * normal());
}

export function parametersOf(options: NetOptions): Parameters {
  const { weights, widths } = options;
  const random = seeded(options.seed ?? 0);
  const missing: string[] = [];
  const misfits: string[] = [];
  const taken = new Set<string>();
  const fresh = (shape: Shape, start: Start): HostTensor => {
    if (start === "he" && options.init !== "zeros")
      return { dtype: "f32", shape, data: heNormal(shape, random.normal) };
    return { dtype: "f32", shape, data: new Float32Array(sizeOf(shape)).fill(start === "one" ? 1 : 0) };
  };
  // Stands in for a parameter that is not there, so that all faults are found; finish() then throws.
  const nothing = (shape: Shape): HostTensor => ({ dtype: "f32", shape, data: new Float32Array(0) });
  return {
    width: (module, usual) => weights?.get(`${module}.weight`)?.shape[0] ?? widths?.get(module) ?? usual,
    take(name, shape, start) {
      taken.add(name);
      if (!weights) return fresh(shape, start);
      const given = weights.get(name);
      if (!given) missing.push(name);
      else if (!sameShape(given.shape, shape)) {
        misfits.push(`${name} is ${showShape(given.shape)} instead of ${showShape(shape)}`);
      } else if (!isFloat(given.dtype)) misfits.push(`${name} is ${given.dtype} instead of a float type`);
      else return cast(given, "f32");
      return nothing(shape);
    },
    misfit: (message) => misfits.push(message),
    finish(net) {
      const extra = [...(weights?.keys() ?? [])].filter((n) => !taken.has(n) && !isCompanion(n, weights!));
      const parts = [
        missing.length > 0 ? `${missing.length} missing (${list(missing)})` : "",
        extra.length > 0 ? `${extra.length} unknown (${list(extra.map(printable))})` : "",
        misfits.length > 0 ? `${misfits.length} that do not fit (${list(misfits)})` : "",
      ].filter((part) => part !== "");
      if (parts.length === 0) return;
      const code = missing.length + extra.length === 0 ? "E_SHAPE" : "E_GRAPH";
      const what = weights ? "the given weights are not those of" : "the given widths cannot make";
      throw new GraphError(
        code,
        `${what} ${net}: ${parts.join("; ")}. Name the architecture they were made for.`,
      );
    },
  };
}
