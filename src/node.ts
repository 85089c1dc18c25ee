// The entry for Node: the browser's surface, with file paths and Dawn behind the same names.

export { openGpuInNode as openGpu } from "./gpu/dawn.ts";
export * from "./index.ts";
export { loadModel, saveModel } from "./io/files.ts";
