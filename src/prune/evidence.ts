import { InputError } from "../errors.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";

/**
 * Everything that a method may have to know beyond the weights; one collector each under `evidence/`. Tensors are f32 or f64,
 * keyed by the name of the weight or value that they describe. A new kind is one line here and one collector.
 */
export const evidenceKinds = {
  gradients: "by weight, of its shape: the mean over images of the loss's gradient",
  curvature:
    "by weight, of its shape: the mean over images of the Gauss-Newton diagonal of the loss's second derivatives",
  hessianGradients:
    "by weight, of its shape: the Hessian of the loss times its gradient, both over one set of images",
  shadowSensitivity: "by weight, of its shape: Karnin's sensitivity, summed up while the net was trained",
  synapticFlow:
    "by weight, of its shape: |w · dR/dw| of the flow R; negative for weights that fell in an earlier round",
  jacobian:
    "by weight, [rows, elements]: rows whose outer products add up to the Gauss-Newton matrix of the loss",
  inputNorms:
    "by weight, [groups, columns]: L2 norm over images and pixels of what each column is multiplied by",
  inputMoments:
    "by weight, [groups, columns, columns]: mean over images and pixels of the products of what two columns are multiplied by",
  inputMeans:
    "by weight, [groups, columns]: mean over images and pixels of what each column is multiplied by",
  featureRanks:
    "by weight, [filters]: mean over images of the rank of the map that a filter makes behind the nonlinearity, over the largest possible",
  zeroShares: "by weight, [filters]: share of zeros in the maps that a filter makes, behind the nonlinearity",
  gateGradients:
    "by weight, [batches, filters]: derivatives of each batch's mean cross-entropy by a gate on every filter's output",
  gateRelevance:
    "by weight, [filters]: minus the derivative of the mean absolute error by a gate on every filter's output",
  particles:
    "by weight, [filters]: 1 for those in the best pattern that a particle filter has seen, plus half the share of its last particles that keep them",
} as const;

export type EvidenceKind = keyof typeof evidenceKinds;

/** Where evidence came from: enough to gather it again. Goes into the record. */
export interface EvidenceSource {
  readonly data?: { readonly name: string; readonly images: number; readonly hash: string };
  readonly images: number;
  readonly batch: number;
  readonly seed: number;
  readonly norms: "batch" | "running";
  /** Of methods that prune in rounds while they gather. */
  readonly sparsity?: number;
  readonly rounds?: number;
  readonly adapter: string;
}

/** What was gathered before pruning, per kind. */
export type Evidence = Readonly<Partial<Record<EvidenceKind, ReadonlyMap<string, HostTensor>>>> & {
  readonly source?: EvidenceSource;
};

/** Throws E_INPUT when evidence that a method, or the recovery asked for with it, needs is missing. */
export function checkEvidence(
  method: { readonly name: string; readonly needs: readonly EvidenceKind[] },
  needs: readonly EvidenceKind[],
  evidence: Evidence,
): void {
  const missing = needs.filter((kind) => evidence[kind] === undefined);
  if (missing.length === 0) return;
  const own = needs.every((kind) => method.needs.includes(kind));
  const what = own ? `"${method.name}"` : `["${needs.join('", "')}"]`;
  throw new InputError(
    `method ${method.name} needs evidence of the kind ${missing.join(" and ")}${own ? "" : " to recover"}. Gather it with collectEvidence(gpu, graph, data, ${what}) and pass it as evidence; on the command line, give --data.`,
  );
}

/**
 * The tensor of `kind` about one weight. Throws E_INPUT where it is missing, of another size than `length`, or not finite.
 */
export function evidenceOf(
  evidence: Evidence,
  kind: EvidenceKind,
  weight: string,
  length: number,
): Float32Array | Float64Array {
  const found = evidence[kind]?.get(weight);
  if (!found) {
    throw new InputError(
      `the evidence holds no ${kind} of "${weight}". Gather it on the very model that is pruned.`,
    );
  }
  if (
    found.data.length !== length ||
    !(found.data instanceof Float32Array || found.data instanceof Float64Array)
  ) {
    throw new InputError(
      `the evidence's ${kind} of "${weight}" are ${found.dtype} [${found.shape}]; ${length} floats are needed. Gather it on the very model that is pruned.`,
    );
  }
  if (!found.data.every(Number.isFinite)) {
    throw new InputError(
      `the evidence's ${kind} of "${weight}" are not all finite: the model overflows on these images. Repair the model, or skip the layer.`,
    );
  }
  return found.data;
}
