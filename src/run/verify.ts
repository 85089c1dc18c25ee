import { SecateurError } from "../errors.ts";
import { getNumber, type HostTensor } from "../tensor/host-tensor.ts";

/** How far a run is from the double-precision reference, per output. */
export interface Verification {
  readonly ok: boolean;
  readonly tolerance: number;
  readonly outputs: readonly {
    readonly name: string;
    readonly maxAbsolute: number;
    readonly maxRelative: number;
  }[];
}

/**
 * Compares a run with its reference: |a - b| / (1 + |b|) at most `tolerance` everywhere. Throws E_VERIFY naming the worst
 * element otherwise; NaN and infinity must match exactly.
 */
export function compareOutputs(
  actual: Readonly<Record<string, HostTensor>>,
  expected: Readonly<Record<string, HostTensor>>,
  tolerance: number,
): Verification {
  const outputs = Object.entries(expected).map(([name, reference]) => {
    const got = actual[name]!;
    let maxAbsolute = 0;
    let maxRelative = 0;
    for (let i = 0; i < reference.data.length; i++) {
      const b = getNumber(reference.data, i);
      const a = getNumber(got.data, i);
      if (Object.is(a, b) || a === b) continue;
      const difference = Math.abs(a - b);
      const relative = difference / (1 + Math.abs(b));
      if (!(relative <= tolerance)) {
        throw new SecateurError(
          "E_VERIFY",
          `output "${name}" differs at element ${i}: ${a} on the GPU, ${b} in double precision (tolerance ${tolerance}).`,
        );
      }
      maxAbsolute = Math.max(maxAbsolute, difference);
      maxRelative = Math.max(maxRelative, relative);
    }
    return { name, maxAbsolute, maxRelative };
  });
  return { ok: true, tolerance, outputs };
}
