// The public surface, in the order of the flow. This entry runs in browsers: it reaches neither Node nor Dawn.

// --- values and errors
export { type ErrorCode, type ErrorDetails, FileError, GpuError, GraphError, InputError, PlanError, PruneError, SecateurError, SparseError, UnsupportedError } from "./errors.ts";
export type { DType, HostArray } from "./tensor/dtype.ts";
export { cast, type HostTensor, tensor, toNumbers } from "./tensor/host-tensor.ts";
export { seeded, type Random } from "./tensor/random.ts";
// --- file -> Graph
export type { Attribute, Graph, GraphValue, Node } from "./graph/graph.ts";
export { graphBuilder } from "./graph/builder.ts";
export { inspectGraph } from "./graph/statistics.ts";
export { buildModel } from "./nets/build-net.ts";
export { loadModel, type LoadOptions, saveModel } from "./io/web.ts";
export { readNpy, writeNpy } from "./io/npy.ts";
export { readSafetensors, writeSafetensors } from "./io/safetensors.ts";
// --- Graph -> smaller or sparser Graph
export { describeGroups } from "./prune/groups.ts";
export { compact } from "./prune/compact.ts";
export { prune, type PruneOptions } from "./prune/prune.ts";
export { parseRecord, type PruneRecord } from "./prune/record.ts";
export { replay } from "./prune/replay.ts";
// --- data
export type { Dataset } from "./data/dataset.ts";
export { preprocess } from "./data/dataset.ts";
export { glyphs } from "./data/glyphs.ts";
// --- Graph -> Plan -> Session
export type { Gpu } from "./gpu/gpu.ts";
export { openGpu, type OpenOptions } from "./gpu/open.ts";
export { parsePlan, type LayerPlan, type Plan, planToJson } from "./plan/plan.ts";
export { compile, type CompileOptions } from "./run/compile.ts";
export type { Session, StepTime } from "./run/session.ts";
export { runReference } from "./run/reference.ts";
export { evaluate, type Evaluation } from "./run/evaluate.ts";
// --- Session -> report
export { compareModels, type Comparison } from "./report/compare.ts";
export { version } from "./version.ts";
