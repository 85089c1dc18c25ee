import { mostTexels } from "../../shader/texels.ts";
import { mostGroups } from "../limits.ts";
import { rowClusters } from "./cluster.ts";
import { ellDensity, scheduleEll } from "./ell.ts";
import { blockRowsOf, type Format, isClustered, isCsr, isDense, isHalf, isNm } from "./formats.ts";
import { halfScale } from "./half.ts";
import { oncePerMatrix } from "./known.ts";
import type { Launch, Realised } from "./launch.ts";
import { type Laid, layHalves, layStrips } from "./lay.ts";
import { packMatrices } from "./matrix.ts";
import { nmDensity, packNm, packNmVector, patternOf, scheduleNm, slicePatternOf } from "./nm.ts";
import {
  blockDensity,
  blocksPerGroup,
  densePointers,
  halved,
  type Packed,
  packBlocks,
  packCsr,
  packCsrSteps,
  packDense,
  packTransposed,
  type WeightMatrix,
} from "./pack.ts";
import { packPanels } from "./panels.ts";
import {
  type ColumnCut,
  type ColumnsProblem,
  columnsParams,
  cutColumns,
  offsetsOf,
  texelsRead,
} from "./problem.ts";
import { packSlices } from "./slices.ts";
import { partsOf, splitWeight, sumParts } from "./split.ts";
import type { Variant } from "./variants.ts";
import { productsOf, tilingOf, transformWeight } from "./winograd.ts";
import { aroundProducts } from "./winograd-launches.ts";

/** Where entry k of a row of a weight matrix lies in its tensor: group · groupStride + row in group · rowStride + entries[k], in words. */
export interface WeightPlace {
  readonly groupStride: number;
  readonly rowStride: number;
  readonly entries: Uint32Array;
}

/** A weight in a device buffer that may change from run to run; `scale` is a factor per row. */
export interface VariableWeight {
  readonly place: WeightPlace;
  readonly scale: Float32Array;
}

export type ColumnsWeight = WeightMatrix | VariableWeight;

/** Weights whose columns are combined: more would hold up planning for longer than a few seconds (0.2 to 0.4 s for two million). */
const mostCombined = 2 ** 24;

/** The cut of the problem's columns that a variant works on, or undefined where it does not apply. */
export function cutFor(p: ColumnsProblem, variant: Variant): ColumnCut | undefined {
  if (variant.parts > 1) {
    const parts = partsOf(p, variant.parts);
    return parts && cutFor(parts, { ...variant, parts: 1 });
  }
  const few = p.out[0] * p.out[1] * p.out[2] * p.batch <= 16;
  // A sparse one knows no groups.
  if (variant.loop === "vector" && !(few && (p.groups === 1 || variant.format === "dense"))) return undefined;
  if (variant.loop === "matrix" && few) return undefined;
  if (variant.winograd) {
    const tiling = tilingOf(p, variant.winograd);
    return tiling && cutFor(productsOf(p, tiling), { ...variant, winograd: 0 });
  }
  const cut = cutColumns(p).find(({ load }) => load === variant.load);
  if (!cut || (variant.texels && texelsRead(p, cut) > mostTexels)) return undefined;
  return groupsOf(p, variant, cut).some((n) => n > mostGroups) ? undefined : cut;
}

/** Workgroups of a variant's main loop on a problem. */
export function groupsOf(
  p: ColumnsProblem,
  variant: Variant,
  cut: ColumnCut,
): readonly [number, number, number] {
  const rows = p.groups * p.rowsPerGroup;
  if (variant.loop === "vector") return [Math.ceil(p.rowsPerGroup / variant.rows), cut.columns, p.groups];
  if (variant.loop === "slices" || variant.loop === "matrix")
    return [Math.ceil(cut.columns / variant.columns), p.groups * blocksPerGroup(p, variant.rows), 1];
  const across = Math.ceil(cut.columns / (variant.workgroup * variant.columns));
  const down = isCsr(variant.format) ? rows : p.groups * blocksPerGroup(p, variant.rows);
  return [across, down, 1];
}

/** Of a vector kernel, whose `rows` are those of a workgroup. */
const rowsPerThread = ({ rows, workgroup }: Variant): number => rows / workgroup;

/** Are entries with their offsets and weights read out of a texture? */
const inPanels = ({ loop, texels }: Variant): boolean => loop === "shuffle" && texels === true;

/** The weight in the variant's format. */
function packFor(p: ColumnsProblem, variant: Variant, w: WeightMatrix): Packed {
  if (variant.loop === "vector" && isDense(variant.format)) {
    const columns = packTransposed(p, w, rowsPerThread(variant));
    return isHalf(variant.format) ? halved(columns, halfScale(w)!) : columns;
  }
  const offsets = offsetsOf(p, variant.load);
  if (variant.loop === "matrix") return packMatrices(p, w, variant, offsets);
  if (variant.loop === "slices") {
    const schedule = variant.format === "ell" ? scheduleEll : scheduleNm;
    return packSlices(w, schedule(p, w, variant.rows / 8), offsets, variant.texels === true);
  }
  if (isNm(variant.format)) {
    const pack = variant.loop === "vector" ? packNmVector : packNm;
    return pack(p, w, blockRowsOf(variant.format), offsets);
  }
  if (isCsr(variant.format)) {
    const packed = packCsrFor(variant, w, offsets);
    return variant.texels
      ? { ...packed, launch: { texels: { entries: packed.arrays["entries"]!.length / 4 } } }
      : packed;
  }
  if (inPanels(variant)) {
    const r = variant.rows;
    const order = isClustered(variant.format) ? rowClusters(p, w, r) : undefined;
    return packPanels(p, w, r, offsets, order, variant.format === "dense");
  }
  if (variant.format === "dense") return packDense(p, w, variant.rows, offsets);
  const r = blockRowsOf(variant.format);
  return packBlocks(p, w, r, offsets, isClustered(variant.format) ? rowClusters(p, w, r) : undefined);
}

function packCsrFor({ format, loop, texels }: Variant, w: WeightMatrix, offsets: Uint32Array): Packed {
  if (format === "csr") return packCsr(w, offsets, texels ? 2 : 1);
  const per = texels ? 4 : loop === "vector" ? 2 : 1;
  return packCsrSteps(w, offsets, per, isHalf(format) ? halfScale(w) : undefined);
}

const densities = oncePerMatrix(countStored);

/** Share of values that the format stores; worked out once per matrix. */
export const storedDensity = (p: ColumnsProblem, format: Format, w: WeightMatrix): number =>
  densities(p, w, format);

function countStored(p: ColumnsProblem, w: WeightMatrix, format: Format): number {
  if (isDense(format)) return 1;
  if (format === "ell") return ellDensity(p, w);
  const r = blockRowsOf(format);
  if (isNm(format)) return nmDensity(p, w, r);
  return blockDensity(p, w, r, isClustered(format) ? rowClusters(p, w, r) : undefined);
}

/** Bytes of one stored value, its place included where it has one of its own. */
const valueBytes = (format: Format): number =>
  format === "csr" ? 8 : format === "csr-u16" ? 6 : isHalf(format) && !isCsr(format) ? 2 : 4;

/** About how many bytes a variant's packed weight takes in one buffer; 0 where it lies in a texture. */
export function weightBytes(p: ColumnsProblem, variant: Variant, w: WeightMatrix): number {
  const { format, loop, texels, winograd } = variant;
  if (texels && (inPanels(variant) || loop === "csr" || loop === "slices")) return 0;
  const matrices = winograd ? (winograd + 2) ** 2 / 9 : 1;
  return w.values.length * matrices * storedDensity(p, format, w) * valueBytes(format);
}

const isVariable = (w: ColumnsWeight): w is VariableWeight => "place" in w;

/**
 * Can the variant take this weight? A variable one must be dense, and its rearrangement would have to run on the device; half
 * precision must hold every value exactly, so that the choice of a format never changes a result; N:M must hold every value.
 */
export function takesWeight(p: ColumnsProblem, variant: Variant, w: ColumnsWeight): boolean {
  if (isVariable(w))
    return variant.format === "dense" && !variant.winograd && variant.parts === 1 && !inPanels(variant);
  if (variant.format === "ell") return w.values.length <= mostCombined;
  if (variant.loop === "slices") return slicePatternOf(p, w) !== undefined;
  if (isNm(variant.format)) return patternOf(p, w, blockRowsOf(variant.format)) !== undefined;
  return !isHalf(variant.format) || halfScale(w) !== undefined;
}

/** Everything it takes to run a variant on a problem. */
export function realise(p: ColumnsProblem, variant: Variant, cut: ColumnCut, w: ColumnsWeight): Realised {
  if (variant.winograd) {
    const tiling = tilingOf(p, variant.winograd)!;
    const weight = transformWeight(w as WeightMatrix, variant.winograd);
    const products = realise(productsOf(p, tiling), { ...variant, winograd: 0 }, cut, weight);
    return aroundProducts(p, tiling, products, variant.texels === true);
  }
  if (variant.parts > 1) {
    const parts = partsOf(p, variant.parts)!;
    const weight = splitWeight(w as WeightMatrix, variant.parts);
    return sumParts(p, parts, realise(parts, { ...variant, parts: 1 }, cut, weight));
  }
  const weights = isVariable(w) ? packOnDevice(p, variant, w) : packOnHost(p, variant, w);
  const laid = layFor(p, cut);
  const { launch } = weights;
  const texels = variant.texels && { texels: { x: texelsRead(p, cut), ...launch?.texels } };
  const [across, down, deep] = groupsOf(p, variant, cut);
  const main: Launch = {
    kernel: variant.kernel,
    spec: { ...variant.spec, ...launch?.spec },
    constants: {
      ...variant.constants,
      ...launch?.constants,
      ACT: p.activation.code,
      HAS_RESIDUAL: p.residual ? 1 : 0,
    },
    bindings: {
      x: laid?.name ?? "x",
      bias: "bias",
      // Whatever is bound where there is no residual is not read; it only must not be written by the same dispatch.
      residual: p.residual ? "residual" : laid ? "bias" : "x",
      y: "y",
      rows: "rows" in weights.arrays ? "rows" : "row_ptr" in weights.arrays ? "row_ptr" : "bias",
      ...weights.bindings,
      ...launch?.bindings,
    },
    params: {
      ...columnsParams(p, cut, blocksPerGroup(p, variant.rows)),
      ...(weights.scale !== undefined && { scale: weights.scale }),
      ...launch?.params,
    },
    ...texels,
    groups: variant.rowsFirst ? [down, across, deep] : [across, down, deep],
  };
  return {
    arrays: weights.arrays,
    scratch: { ...weights.scratch, ...laid?.scratch },
    launches: [...weights.launches, ...(laid?.launches ?? []), main],
    bytes: weights.bytes,
    density: weights.density,
  };
}

function layFor(p: ColumnsProblem, cut: ColumnCut): Laid | undefined {
  if (cut.load === "strips") return layStrips(p);
  return cut.load === "halves" ? layHalves(p, cut) : undefined;
}

type Part = Realised &
  Pick<Packed, "scale" | "launch"> & { readonly bindings: Readonly<Record<string, string>> };

const named = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, name]));

function packOnHost(p: ColumnsProblem, variant: Variant, w: WeightMatrix): Part {
  const { arrays, ...rest } = packFor(p, variant, w);
  return { arrays, scratch: {}, launches: [], ...rest, bindings: named(Object.keys(arrays)) };
}

/** A variable weight is packed into the panels of the dense kernels before they run. */
function packOnDevice(p: ColumnsProblem, variant: Variant, w: VariableWeight): Part {
  // The vector kernel reads the transpose, which is one panel of all rows.
  const per = rowsPerThread(variant);
  const panel = variant.loop === "vector" ? Math.ceil(p.rowsPerGroup / per) * per : variant.rows;
  const perGroup = Math.ceil(p.rowsPerGroup / panel);
  const panelRows = perGroup * p.groups * p.k;
  const arrays = {
    row_ptr: densePointers(perGroup * p.groups, p.k),
    offsets: offsetsOf(p, variant.load),
    scale: w.scale,
    entries: w.place.entries,
  };
  const pack: Launch = {
    kernel: "conv/pack-weights",
    spec: {},
    constants: {},
    bindings: { weight: "weight", scale: "scale", entries: "entries", panels: "weights" },
    params: {
      rows_per_group: p.rowsPerGroup,
      blocks_per_group: perGroup,
      k: p.k,
      r: panel,
      panel_rows: panelRows,
      group_stride: w.place.groupStride,
      row_stride: w.place.rowStride,
    },
    groups: Math.ceil(panelRows / 64),
  };
  return {
    arrays,
    scratch: { weights: panelRows * panel },
    launches: [pack],
    bytes: panelRows * panel * 4,
    density: 1,
    bindings: named(["row_ptr", "offsets", "weights"]),
  };
}
