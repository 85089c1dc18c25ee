// The entry for Node: the browser's surface, with file paths and Dawn behind the same names.

export * from "./index.ts";
export { loadModel, saveModel } from "./io/files.ts";
export { openGpuWithTuning as openGpu } from "./plan/tuning-folder.ts";
