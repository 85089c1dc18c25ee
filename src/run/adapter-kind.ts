import type { Gpu } from "../gpu/gpu.ts";
import type { AdapterKind } from "../plan/estimate.ts";
import type { Precision } from "../plan/half-weights.ts";

/** What of a device decides which kernels run at a precision, and how fast by the cost model. */
export function adapterKind({ adapter, device }: Gpu, precision?: Precision): AdapterKind {
  const { min = 0, max = 0 } = adapter.subgroups ?? {};
  const matrices = min === max ? (adapter.matrices ?? []) : [];
  return {
    software: adapter.software,
    maxInvocations: device.limits.maxComputeInvocationsPerWorkgroup,
    largestBinding: device.limits.maxStorageBufferBindingSize,
    subgroup: min,
    texels: adapter.texels,
    rounds: precision === "f16",
    units: matrices.map((unit) => ({ ...unit, subgroup: min })),
  };
}
