import { GpuError } from "../errors.ts";

/**
 * Workgroups per dimension for a count, or for three counts as they are. A count above the limit is folded into x and y; the
 * kernel then finds its number as `workgroup_id.x + workgroup_id.y * num_workgroups.x` and guards its tail. Throws `E_GPU`.
 */
export function workgroupCounts(
  groups: number | readonly [number, number, number],
  limit: number,
  label: string,
): [number, number, number] {
  const counts: [number, number, number] = typeof groups === "number" ? fold(groups, limit) : [...groups];
  if (counts.some((n) => !Number.isSafeInteger(n) || n < 0 || n > limit)) {
    const asked = typeof groups === "number" ? groups : groups.join(" x ");
    throw new GpuError(
      "E_GPU",
      `${label} asks for ${asked} workgroups; this adapter takes at most ${limit} per dimension.`,
    );
  }
  return counts;
}

function fold(count: number, limit: number): [number, number, number] {
  if (!(count > limit)) return [count, 1, 1];
  const y = Math.ceil(count / limit);
  return [Math.ceil(count / y), y, 1];
}

/** Dispatches unless there is nothing to do: Dawn prints a warning for an empty dispatch. */
export function dispatch(pass: GPUComputePassEncoder, counts: readonly [number, number, number]): void {
  if (counts[0] > 0 && counts[1] > 0 && counts[2] > 0) pass.dispatchWorkgroups(...counts);
}
