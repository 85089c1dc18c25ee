// The public surface, in the order of the flow. This entry runs in browsers: it reaches neither Node nor Dawn.

// --- data
export { type Augmentation, type Batches, batchesOf } from "./data/batches.ts";
export type { Dataset } from "./data/dataset.ts";
export { preprocess } from "./data/dataset.ts";
export { glyphs } from "./data/glyphs.ts";
export { splitValidation, subset } from "./data/split.ts";
// --- values and errors
export {
  type ErrorCode,
  type ErrorDetails,
  FileError,
  GpuError,
  GraphError,
  InputError,
  PlanError,
  PruneError,
  SecateurError,
  SparseError,
  TrainingError,
  UnsupportedError,
} from "./errors.ts";
// --- Graph + data -> evidence
export { evidenceAgain } from "./evidence/again.ts";
export { type CollectOptions, collectEvidence } from "./evidence/collect.ts";
// --- Graph -> Plan -> Session
export type { Gpu } from "./gpu/gpu.ts";
export { type OpenOptions, openGpu } from "./gpu/open.ts";
export { graphBuilder } from "./graph/builder.ts";
export { type GradientOptions, type Gradients, gradientGraph } from "./graph/gradient.ts";
// --- file -> Graph
export type { Attribute, Graph, GraphValue, Node } from "./graph/graph.ts";
export { inspectGraph } from "./graph/statistics.ts";
export { readNpy, writeNpy } from "./io/npy.ts";
export { readSafetensors, writeSafetensors } from "./io/safetensors.ts";
export { type LoadOptions, loadModel, saveModel } from "./io/web.ts";
export { buildModel } from "./nets/build-net.ts";
export { type LayerPlan, type Plan, parsePlan, planToJson } from "./plan/plan.ts";
export type { TuningStore } from "./plan/tuning.ts";
// --- Graph -> smaller or sparser Graph
export { type Allocation, allocations } from "./prune/allocations/index.ts";
export { compact } from "./prune/compact.ts";
export { type Evidence, type EvidenceKind, evidenceKinds } from "./prune/evidence.ts";
export { describeGroups } from "./prune/groups.ts";
export { methods } from "./prune/methods/index.ts";
export type { Method, MethodFacts } from "./prune/methods/method.ts";
export { type PruneOptions, prune } from "./prune/prune.ts";
export {
  type PublishedRates,
  type PublishedShares,
  publishedRates,
  publishedShares,
  publishedWidths,
} from "./prune/published.ts";
export { type PruneRecord, parseRecord } from "./prune/record.ts";
export { type EvidenceFor, replay } from "./prune/replay.ts";
// --- methods that train
export { allMethods, recipes, runRecipe } from "./recipes/index.ts";
export {
  type PruningManifest,
  parsePruningManifest,
  pruningManifest,
  repeatPruning,
} from "./recipes/manifest.ts";
export type { Recipe, RecipeOptions, RecipeResult } from "./recipes/recipe.ts";
export { pruneInRounds } from "./recipes/rounds.ts";
export { type PruningOutcome, type PruningRequest, runPruning } from "./recipes/run.ts";
export {
  type Attempt,
  pruneToTarget,
  type TargetOptions,
  type TargetReport,
  type TargetResult,
} from "./recipes/target.ts";
export { type Comparison, compareModels } from "./report/compare.ts";
export { type CountConvention, type Counts, countBy } from "./report/counts.ts";
export { meanOverlap, overlap } from "./report/stability.ts";
export { compile } from "./run/compile.ts";
export { type Evaluation, evaluate } from "./run/evaluate.ts";
export type { CompileOptions } from "./run/options.ts";
export { runReference } from "./run/reference.ts";
export type { Session, StepTime } from "./run/session.ts";
// --- what each layer bears and gains
export { parseSensitivity, type Sensitivity } from "./sensitivity/curve.ts";
export { type LatencyOptions, type LatencyTable, layerLatency } from "./sensitivity/latency.ts";
export { type SensitivityOptions, sensitivity } from "./sensitivity/scan.ts";
export { type AllocationProblem, type AllocationResult, allocate } from "./sensitivity/solve.ts";
export type { DType, HostArray } from "./tensor/dtype.ts";
export { cast, type HostTensor, tensor, toNumbers } from "./tensor/host-tensor.ts";
export { type Random, seeded } from "./tensor/random.ts";
// --- Graph + data -> trained Graph
export { type Checkpoint, type EpochResult, readCheckpoint, writeCheckpoint } from "./train/checkpoint.ts";
export type { Masking } from "./train/masking.ts";
export type { OptimizerOptions } from "./train/optimizer.ts";
export type { TrainingProgress, TrainOptions, TrainResult } from "./train/options.ts";
export { type RecalibrateOptions, recalibrate } from "./train/recalibrate.ts";
export { learningRateAt, parseSchedule, type Schedule } from "./train/schedule.ts";
export { train } from "./train/train.ts";
export { makeTrainer, type Snapshot, type Trainer, type TrainerOptions } from "./train/trainer.ts";
export { version } from "./version.ts";
