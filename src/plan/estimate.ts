import { type Format, isCsr, isDense, isHalf, isNm } from "../kernels/columns/formats.ts";
import { type MatrixUnit, unitOf } from "../kernels/columns/matrix.ts";
import { panelEntries, panelLoads } from "../kernels/columns/panels.ts";
import {
  type ColumnCut,
  type ColumnsProblem,
  floatsOf,
  type Load,
  quadsRead,
  stripsOf,
  texelsRead,
} from "../kernels/columns/problem.ts";
import { cutFor, groupsOf } from "../kernels/columns/realise.ts";
import { partsOf } from "../kernels/columns/split.ts";
import { roundsX, subgroupOf, type Variant, variants } from "../kernels/columns/variants.ts";
import { productsOf, type TileSide, tilingOf } from "../kernels/columns/winograd.ts";
import { type Rates, ratesOf } from "./rates.ts";

/** What the cost model and the choice of variants need to know of an adapter. */
export interface AdapterKind {
  readonly software: boolean;
  readonly maxInvocations: number;
  /** Bytes that one binding holds; more than any weight unless said. */
  readonly largestBinding?: number;
  /** Lanes that every subgroup has; 0 where there are no subgroups. */
  readonly subgroup: number;
  /** Can kernels read textures of vec4s? Not unless this says so. */
  readonly texels?: boolean;
  /** May kernels round activations to half precision? Not unless this says so. */
  readonly rounds?: boolean;
  /** Matrix units that every subgroup has, for kernels that round activations. */
  readonly units?: readonly MatrixUnit[];
}

/** Estimated cycles of a candidate: it ranks candidates, it does not predict time. */
export function estimate(
  p: ColumnsProblem,
  variant: Variant,
  cut: ColumnCut,
  density: number,
  kind: AdapterKind,
): number {
  const rates = ratesOf(kind);
  if (variant.winograd) return estimateWinograd(p, variant, variant.winograd, cut, kind, rates);
  if (variant.parts > 1) return estimateSplit(p, variant, cut, kind, rates);
  const { rows, columns, workgroup, loop } = variant;
  const [across, down, deep] = groupsOf(p, variant, cut);
  const workgroups = across * down * deep;
  const steps = workgroups * Math.ceil(workgroup / rates.lanes) * idle(workgroups * workgroup, rates);
  if (loop === "vector") {
    if (isNm(variant.format)) {
      const perThread = rows / workgroup;
      const weights = perThread === 1 ? rates.word : (perThread / 4) * rates.quad;
      const entry = rates.word + weights + positionCost + perThread * rates.fma;
      return steps * p.k * density * entry;
    }
    if (isCsr(variant.format)) {
      const entry = rates.word + vectorEntry(variant.format, rates) + rates.fma;
      return steps * p.k * density * entry;
    }
    const four = rows > workgroup;
    const quad = isHalf(variant.format) ? eightBytes(rates.quad) + 2 : rates.quad;
    const weights = four ? quad + 4 * rates.fma : rates.word + rates.fma;
    return steps * p.k * (2 * rates.uniformWord + weights);
  }
  if (loop === "slices") return estimateSlices(p, variant, cut, density, kind);
  if (loop === "matrix") return estimateMatrix(p, variant, cut, rates);
  const floats = floatsOf(cut.load);
  const entry =
    entryCost(variant, rates) +
    (isNm(variant.format) ? placeCost(p, rates) : 0) +
    columns *
      (loadCost(cut.load, rates, variant) +
        missCost(p, variant, cut, density, down, rates) +
        rows * floats * rates.fma * carried(variant));
  const finish = rows * columns * floats * rates.store;
  const copy = copyCost(p, variant, cut, rates);
  // Registers: past these a GPU runs too few threads to hide latency, and a software adapter spills twice.
  const most = kind.software && !readsPanels(variant) ? 256 : 128;
  const pressure = rows * columns * floats > most ? 1.3 : 1;
  const narrow = kind.software ? 1 : Math.max(1, 64 / workgroup);
  const start = kind.software ? 400 : 0;
  return steps * (start + finish + p.k * density * entry * pressure) * narrow + copy;
}

const loadCost = (load: Load, { word, quad, half, texel }: Rates, { texels }: Variant): number =>
  texels ? texel : { word, quad, halves: half, strips: quad }[load];

/**
 * Of a load of an x that does not fit near a core: it comes from afar once per row of workgroups, or, where those that read the same columns
 * follow each other, once in all; and of a dense tile of more of x than the first-level cache holds (sparse ones showed no such edge). Taps
 * of one channel that are kept share what they load.
 */
function missCost(
  p: ColumnsProblem,
  variant: Variant,
  cut: ColumnCut,
  density: number,
  down: number,
  rates: Rates,
): number {
  if (p.xChannel === 0) return 0;
  const width = cut.load === "halves" ? 2 : 4;
  const channels = p.xGroup / p.xChannel;
  const together = 1 + (p.k / channels - 1) * density;
  const tile = channels * variant.columns * variant.workgroup * floatsOf(cut.load) * width;
  const close = isDense(variant.format) && tile > rates.firstCache ? rates.firstMiss / together : 0;
  if (p.groups * p.xGroup * width <= rates.cache) return close;
  return close + rates.miss / together / (variant.rowsFirst ? Math.max(1, (down / p.groups) * density) : 1);
}

/** How much longer than on a busy adapter so many threads take. */
const idle = (threads: number, rates: Rates): number => Math.max(1, rates.threads / Math.max(1, threads));

/** Unpacking a position. */
const positionCost = 2;

/** Of an entry of N:M, over that of a block: unpacking its position, and the table of offsets where taps are uneven. */
const placeCost = ({ taps }: ColumnsProblem, { uniformWord }: Rates): number =>
  positionCost + (taps.at(-1) === (taps.length - 1) * (taps[1] ?? 0) ? 0 : uniformWord);

const readsPanels = ({ format, loop, texels }: Variant): boolean =>
  texels === true && loop === "shuffle" && !isNm(format);

/** What a multiply-add costs of one whose sum is carried to the next turn by itself, where several share a turn. */
const carried = (variant: Variant): number =>
  readsPanels(variant) ? 0.6 + 0.4 / panelEntries(variant.rows) : 1;

/** Offsets, weights and their passing on, per entry. */
function entryCost(variant: Variant, rates: Rates): number {
  const { format, loop, rows, texels } = variant;
  if (texels && loop === "csr") return rates.texel / (isHalf(format) ? 4 : 2);
  if (readsPanels(variant)) {
    const u = panelEntries(rows);
    return (panelLoads(rows, u) * rates.texel) / u + (1 + rows) * rates.shuffle;
  }
  // One word and its unpacking measured no faster than 8 bytes (bench/NOTES.md).
  if (loop === "csr") return eightBytes(rates.uniformQuad) * (isHalf(format) ? 1.1 : 1);
  if (loop === "pair") return rates.uniformWord + rates.uniformQuad * 0.6;
  if (loop === "uniform") return rates.uniformWord + (rows / 4) * rates.uniformQuad;
  return rates.uniformWord + Math.ceil(rows / 8) * rates.word + rows * rates.shuffle;
}

/** A load of 8 bytes costs 0.6 of one of 16. */
const eightBytes = (quad: number): number => 0.6 * quad;

/** Of a kernel for a single column, which loads the smaller formats two entries at a time, and unpacks them. */
function vectorEntry(format: Format, { quad, word }: Rates): number {
  if (format === "csr") return eightBytes(quad);
  return (format === "csr-u16" ? word + eightBytes(quad) : eightBytes(quad)) / 2 + 2;
}

/**
 * Per 8 columns the loads of x, each lane in a plane of its own, and as many steps for each slice as its rows take. Columns of sliced ELL
 * that are loaded more than once are not counted again. The cost of a load and of code that is too long were fitted to times on lavapipe.
 */
function estimateSlices(
  p: ColumnsProblem,
  variant: Variant,
  cut: ColumnCut,
  density: number,
  kind: AdapterKind,
): number {
  const rates = ratesOf(kind);
  const [across, down] = groupsOf(p, variant, cut);
  const workgroups = across * down * idle(across * down * variant.workgroup, rates);
  const { rows, columns, texels } = variant;
  const floats = floatsOf(cut.load);
  const perChunk = rows * density;
  // A load is shared by all rows of a thread, whatever their weights.
  const miss = columns * missCost(p, variant, cut, 1, down, rates);
  const chunk = texels
    ? (columns + Math.ceil((2 + perChunk) / 4)) * rates.texel + miss
    : columns * 3 * loadCost(cut.load, rates, variant) + 3 * rates.word + miss;
  const step = (texels ? 0 : rates.word) + positionCost + floats * columns * (rates.shuffle + rates.fma);
  const finish = rows * columns * floats * (rates.store / 8);
  const copy = copyCost(p, variant, cut, rates);
  const writtenOut = perChunk * columns;
  const pressure = kind.software && writtenOut > 64 ? (texels ? 1.1 : 1.6) : 1;
  const narrow = kind.software ? 1 : rates.lanes / 8;
  const steps = (p.k / 8) * (chunk + perChunk * step);
  return workgroups * (narrow * steps * pressure + finish) + copy;
}

/** Per entry of K its row of x into workgroup memory, which every thread shares in, and a multiply-add per output. */
function estimateMatrix(p: ColumnsProblem, variant: Variant, cut: ColumnCut, rates: Rates): number {
  const [across, down] = groupsOf(p, variant, cut);
  const workgroups = across * down * idle(across * down * variant.workgroup, rates);
  const floats = floatsOf(cut.load);
  const { rows, columns } = variant;
  const outputs = rows * columns * floats;
  const stage = columns * (loadCost(cut.load, rates, variant) + rates.uniformWord + floats * rates.store);
  return (workgroups / rates.lanes) * (p.k * (stage + outputs * rates.unit) + outputs * 2 * rates.store);
}

/** Of laying x as the load wants it. */
const copyCost = (p: ColumnsProblem, { texels }: Variant, cut: ColumnCut, rates: Rates): number =>
  layCost(p, cut, rates) + (texels ? texelsRead(p, cut) * rates.texelCopy : 0);

function layCost(p: ColumnsProblem, cut: ColumnCut, rates: Rates): number {
  if (cut.load === "halves") return (quadsRead(p, cut) / rates.lanes) * (rates.quad + 2 * rates.store);
  if (cut.load !== "strips") return 0;
  const { channels, planes, words } = stripsOf(p);
  return ((channels * planes * words) / rates.lanes) * 4 * (rates.word + rates.store);
}

function estimateWinograd(
  p: ColumnsProblem,
  variant: Variant,
  side: TileSide,
  cut: ColumnCut,
  kind: AdapterKind,
  rates: Rates,
): number {
  const tiling = tilingOf(p, side)!;
  const inner = estimate(productsOf(p, tiling), { ...variant, winograd: 0 }, cut, 1, kind);
  const word = p.batch === 1;
  const texels = !word && variant.texels === true;
  const tiles = word ? tiling.pitch : tiling.pitch / 4;
  const load = word ? rates.word : texels ? rates.texel : rates.quad;
  const store = rates.store * (word ? 1 : 4);
  const input = tiling.channels * tiles * tiling.matrices * (load + store);
  const output = p.rowsPerGroup * tiles * (tiling.matrices * load + tiling.side ** 2 * store);
  const factor = (texels ? rates.texelTransform : rates.transform)[side];
  const copied = texels ? p.xGroup / 4 + p.rowsPerGroup * tiles * tiling.matrices : 0;
  return inner + ((input + output) / rates.lanes) * factor + copied * rates.texelCopy;
}

/** The parts, and their sums, which read one part after the other. */
function estimateSplit(
  p: ColumnsProblem,
  variant: Variant,
  cut: ColumnCut,
  kind: AdapterKind,
  rates: Rates,
): number {
  const parts = partsOf(p, variant.parts)!;
  const inner = estimate(parts, { ...variant, parts: 1 }, cut, 1, kind);
  const outputs = p.rowsPerGroup * cut.columns;
  const [load, store] = cut.load === "quad" ? [rates.quad, 4 * rates.store] : [rates.word, rates.store];
  const steps = Math.ceil(outputs / rates.lanes);
  return inner + steps * (variant.parts * load + store) * idle(outputs, rates);
}

export interface Ranked {
  readonly variant: Variant;
  readonly cut: ColumnCut;
  readonly density: number;
  readonly cost: number;
}

/** Can the adapter run the variant at all? */
export const runsOn = (variant: Variant, kind: AdapterKind): boolean =>
  variant.workgroup <= kind.maxInvocations &&
  subgroupOf(variant.loop) <= kind.subgroup &&
  (!variant.texels || kind.texels === true) &&
  (!roundsX(variant) || kind.rounds === true) &&
  (variant.loop !== "matrix" || (kind.units ?? []).some((unit) => sameUnit(unit, unitOf(variant))));

const sameUnit = (a: MatrixUnit, b: MatrixUnit): boolean =>
  a.m === b.m && a.n === b.n && a.k === b.k && a.subgroup === b.subgroup;

/**
 * All variants of a format that apply to a problem, cheapest first by the cost model; `density` is what the format stores. Those
 * that split K are among them only where the cheapest direct one leaves part of the adapter idle: more workgroups are all they bring.
 */
export function rank(p: ColumnsProblem, format: Format, density: number, kind: AdapterKind): Ranked[] {
  const own = variants.filter((v) => v.format === format && runsOn(v, kind));
  const ranked = (list: readonly Variant[]): Ranked[] =>
    list.flatMap((variant) => {
      const cut = cutFor(p, variant);
      return cut ? [{ variant, cut, density, cost: estimate(p, variant, cut, density, kind) }] : [];
    });
  const byCost = (a: Ranked, b: Ranked): number => a.cost - b.cost;
  const whole = ranked(own.filter((v) => v.parts === 1)).sort(byCost);
  const direct = whole.find(({ variant }) => !variant.winograd);
  if (!direct || !leavesIdle(p, direct, kind)) return whole;
  return [...whole, ...ranked(own.filter((v) => v.parts > 1))].sort(byCost);
}

function leavesIdle(p: ColumnsProblem, { variant, cut }: Ranked, kind: AdapterKind): boolean {
  const [across, down, deep] = groupsOf(p, variant, cut);
  return idle(across * down * deep * variant.workgroup, ratesOf(kind)) > 1;
}
