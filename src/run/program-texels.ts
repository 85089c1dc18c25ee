import { internal } from "../errors.ts";
import type { CompiledKernel } from "../gpu/pipelines.ts";
import type { TexelCopy } from "../gpu/texels.ts";
import type { Dispatch, Operand } from "../kernels/lowering.ts";
import type { Lowered } from "../plan/lower.ts";
import type { TexelFormat } from "../shader/source.ts";

/** What dispatches bind as textures. */
const texelsBound = (
  dispatch: Dispatch,
): { readonly variable: string; readonly operand: Operand; readonly count: number }[] =>
  Object.entries(dispatch.texels ?? {}).map(([variable, count]) => ({
    variable,
    operand: dispatch.bindings[variable]!,
    count,
  }));

/** vec4s of the one texture that all dispatches share, each filling it before it runs. */
export const texelsNeeded = (dispatches: Lowered["dispatches"]): number =>
  Math.max(
    0,
    ...dispatches
      .flatMap(({ dispatch }) => texelsBound(dispatch))
      .map(({ operand, count }) => (operand.kind === "constant" ? 0 : count)),
  );

/** By their numbers, the formats of the constants that are textures. */
export function constantTexels(
  dispatches: Lowered["dispatches"],
  compiled: readonly CompiledKernel[],
): ReadonlyMap<number, TexelFormat | undefined> {
  const formats = new Map<number, TexelFormat | undefined>();
  for (const [i, { dispatch }] of dispatches.entries()) {
    for (const { variable, operand } of texelsBound(dispatch)) {
      if (operand.kind === "constant") formats.set(operand.id, compiled[i]!.bindings[variable]?.format);
    }
  }
  return formats;
}

/** What the shared texture holds as dispatches go by, so that what two of them read is copied once. */
export interface HeldTexels {
  /** The copy that has to be made, if any, for so many vec4s of a buffer to be there. */
  take(buffer: GPUBuffer, texels: number): TexelCopy | undefined;
  /** Buffers that have been written since. */
  forget(written: readonly GPUBuffer[]): void;
}

/** A texture of `texelsNeeded`, or none where nothing needs one. */
export function heldTexels(texture: GPUTexture | undefined): HeldTexels {
  let held: TexelCopy | undefined;
  return {
    take(buffer, texels) {
      if (held?.buffer === buffer && held.texels >= texels) return undefined;
      held = { buffer, texture: texture ?? internal("texels without a texture"), texels };
      return held;
    },
    forget(written) {
      if (held && written.includes(held.buffer)) held = undefined;
    },
  };
}
