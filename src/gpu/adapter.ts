import { GpuError } from "../errors.ts";

/** What is known of the adapter behind a device: plain data, fit for a report. */
export interface AdapterFacts {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  /** Does it compute on the CPU (lavapipe, SwiftShader, WARP)? Then its times are no headline. */
  readonly software: boolean;
  /** Of the device, not of the adapter: what may be used. */
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
  /** Threads that step together, where the device has subgroups. */
  readonly subgroups?: { readonly min: number; readonly max: number };
  /** Matrices in half precision that its subgroups multiply, with sums in f32; absent where it has none. */
  readonly matrices?: readonly { readonly m: number; readonly n: number; readonly k: number }[];
  /** May kernels read textures of vec4s? */
  readonly texels: boolean;
  /** Stable for one adapter and driver; safe in a file name. */
  readonly key: string;
}

/** The limits that compute work meets. */
export const COMPUTE_LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxUniformBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxUniformBuffersPerShaderStage",
  "maxBindingsPerBindGroup",
  "minStorageBufferOffsetAlignment",
  "minUniformBufferOffsetAlignment",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
] as const;

/** Subgroup matrices are no part of the standard yet, and so not of its types. */
export const MATRIX_FEATURE = "chromium-experimental-subgroup-matrix" as GPUFeatureName;

/** Without which WGSL only writes storage textures. */
const TEXELS_LANGUAGE = "readonly_and_readwrite_storage_textures";

/** Features asked for wherever the adapter has them. */
export const WANTED_FEATURES: readonly GPUFeatureName[] = [
  "timestamp-query",
  "shader-f16",
  "subgroups",
  MATRIX_FEATURE,
];

/** The part of `GPUAdapterInfo` that is read here; browsers may leave all of it empty. */
export type AdapterInfo = Partial<
  Pick<
    GPUAdapterInfo,
    | "vendor"
    | "architecture"
    | "device"
    | "description"
    | "isFallbackAdapter"
    | "subgroupMinSize"
    | "subgroupMaxSize"
  >
> & {
  /** Of Dawn and Chromium (experimental). */
  readonly subgroupMatrixConfigs?: Iterable<{
    readonly componentType: string;
    readonly resultComponentType: string;
    readonly M: number;
    readonly N: number;
    readonly K: number;
  }>;
};

const SOFTWARE = /llvmpipe|lavapipe|swiftshader|softpipe|\bwarp\b|microsoft basic render/i;

/** Does this adapter compute on the CPU? */
export function isSoftware(info: AdapterInfo): boolean {
  if (info.isFallbackAdapter === true) return true;
  return SOFTWARE.test([info.vendor, info.architecture, info.device, info.description].join(" "));
}

/** Dawn's null backend looks like a working adapter and executes nothing. */
export function refuseNullBackend(info: AdapterInfo): void {
  if (!/null[- ]?backend/i.test(`${info.device} ${info.description}`)) return;
  throw new GpuError(
    "E_NO_ADAPTER",
    "this adapter is Dawn's null backend, which executes nothing. Ask for another adapter, or run `npx secateur doctor --fix`.",
  );
}

/** Collects the facts from a device, the info of its adapter, and the extensions of WGSL that are compiled for it. */
export function adapterFacts(
  device: GPUDevice,
  info: AdapterInfo,
  language: Pick<WGSLLanguageFeatures, "has"> = new Set(),
): AdapterFacts {
  const limits: Record<string, number> = {};
  for (const name of COMPUTE_LIMITS) {
    const value = device.limits[name];
    if (typeof value === "number") limits[name] = value;
  }
  const { subgroupMinSize: min, subgroupMaxSize: max } = info;
  const subgroups = device.features.has("subgroups") && min && max ? { subgroups: { min, max } } : {};
  const { vendor = "", architecture = "", device: name = "", description = "" } = info;
  return {
    vendor,
    architecture,
    device: name,
    description,
    software: isSoftware(info),
    features: [...device.features].map(String).sort(),
    limits,
    ...subgroups,
    ...matricesOf(device, info),
    texels: language.has(TEXELS_LANGUAGE),
    key: adapterKey([vendor, architecture, name, description]),
  };
}

function matricesOf(
  { features }: GPUDevice,
  { subgroupMatrixConfigs = [] }: AdapterInfo,
): Pick<AdapterFacts, "matrices"> {
  if (!features.has(MATRIX_FEATURE) || !features.has("shader-f16")) return {};
  const matrices = [...subgroupMatrixConfigs]
    .filter((c) => c.componentType === "f16" && c.resultComponentType === "f32")
    .map(({ M, N, K }) => ({ m: M, n: N, k: K }));
  return matrices.length > 0 ? { matrices } : {};
}

function adapterKey(parts: readonly string[]): string {
  let hash = 0x811c9dc5; // FNV-1a
  for (const c of parts.join("\n")) hash = Math.imul(hash ^ c.codePointAt(0)!, 0x01000193) >>> 0;
  const text = parts[2] || parts[3] || parts.join(" ");
  const slug = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 48);
  return `${slug || "unnamed"}-${hash.toString(16).padStart(8, "0")}`;
}
