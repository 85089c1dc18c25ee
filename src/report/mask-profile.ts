import type { Graph } from "../graph/graph.ts";
import type { GraphTypes } from "../prune/context.ts";
import type { PrunableLayer } from "../prune/layers.ts";
import { getNumber } from "../tensor/host-tensor.ts";
import { sizeOf } from "../tensor/shape.ts";

/** Height of the bars and side of a pixel's square, in pixels of the picture. */
const barHeight = 48;
const pixelSide = 6;
const gap = 8;
const textHeight = 16;

/** A part of a picture: what is drawn, from (0, 0) down to `height`. */
export interface Part {
  readonly svg: readonly string[];
  readonly width: number;
  readonly height: number;
}

/** The columns of a layer as there were before those that nothing reads were left out (compaction puts a Gather in front). */
export interface Columns {
  readonly count: number;
  /** Where a column of the weight was. */
  place(column: number): number;
  /** What holds all of them: the value in front of the Gather, or what the layer reads. */
  readonly from: string | undefined;
}

export function columnsOf(graph: Graph, types: GraphTypes, layer: PrunableLayer): Columns {
  const reader = graph.nodes.find((node) => node.inputs[1] === layer.weight);
  const gather = graph.nodes.find((node) => node.outputs[0] === reader?.inputs[0]);
  const indices = gather?.op === "Gather" ? graph.weights.get(gather.inputs[1]!)?.data : undefined;
  const count = types.types.get(gather?.inputs[0] ?? "")?.shape.at(-1);
  if (!indices || count === undefined || indices.length !== layer.cols)
    return { count: layer.cols, place: (column) => column, from: reader?.inputs[0] };
  return { count, place: (column) => getNumber(indices, column), from: gather!.inputs[0] };
}

/** How many weights of each column are kept. */
export function keptPerColumn(graph: Graph, layer: PrunableLayer, columns: Columns): Uint32Array {
  const weight = graph.weights.get(layer.weight)!.data;
  const mask = graph.masks.get(layer.weight)?.data;
  const after = sizeOf(layer.shape.slice(layer.outAxis + 1));
  const counts = new Uint32Array(columns.count);
  for (let i = 0; i < weight.length; i++) {
    if (getNumber(weight, i) === 0 || (mask && getNumber(mask, i) === 0)) continue;
    counts[columns.place(Math.floor(i / (after * layer.rows)) * after + (i % after))]!++;
  }
  return counts;
}

/**
 * [channels, height, width] of the images whose flattened pixels the layer's columns read, undefined where it reads something
 * else: column (c · height + y) · width + x belongs to pixel (x, y) of channel c.
 */
export function flattenedImage(
  graph: Graph,
  types: GraphTypes,
  columns: Columns,
): readonly [number, number, number] | undefined {
  const flatten = graph.nodes.find((node) => node.outputs[0] === columns.from);
  if (flatten?.op !== "Flatten" && flatten?.op !== "Reshape") return undefined;
  const [, c = 0, h = 0, w = 0, ...more] = types.types.get(flatten.inputs[0]!)?.shape ?? [];
  return more.length === 0 && w > 1 && c * h * w === columns.count ? [c, h, w] : undefined;
}

/**
 * One bar per column, as high as the share of its weights that are kept (the fullest column reaches the top), over ticks that
 * mark where a row of pixels, or the kernel of an input channel, begins.
 */
export function columnProfile(
  counts: Uint32Array,
  rows: number,
  columnWidth: number,
  period: number,
  what: string,
): Part {
  const most = counts.reduce((a, b) => Math.max(a, b), 0);
  const top = textHeight;
  const bars: string[] = [];
  const ticks: string[] = [];
  const at = (column: number): number => Math.round(column * columnWidth * 100) / 100;
  for (const [column, n] of counts.entries()) {
    if (n > 0) {
      const high = Math.max(1, Math.round((n / most) * barHeight));
      bars.push(`M${at(column)} ${top + barHeight - high}h${at(1)}v${high}h${-at(1)}z`);
    }
    if (column % period === 0) ticks.push(`M${at(column)} ${top + barHeight}v6`);
  }
  return {
    svg: [
      label(
        0,
        11,
        `kept per column: at most ${most} of ${rows}; a mark where ${what} begins (every ${period})`,
      ),
      ...(bars.length > 0 ? [`<path fill="#357" d="${bars.join("")}"/>`] : []),
      `<path stroke="#888" stroke-width="0.5" fill="none" d="${ticks.join("")}"/>`,
    ],
    width: at(counts.length),
    height: top + barHeight + gap,
  };
}

/** The image that the columns are the pixels of: darker where more weights read a pixel, blank where none does. */
export function pixelMap(
  counts: Uint32Array,
  [channels, height, width]: readonly [number, number, number],
): Part {
  const most = counts.reduce((a, b) => Math.max(a, b), 0);
  const unread = counts.reduce((n, c) => n + (c === 0 ? 1 : 0), 0);
  const side = width * pixelSide;
  const svg = [label(0, 11, `kept per input pixel: ${unread} of ${counts.length} pixels are read by none`)];
  for (let c = 0; c < channels; c++) {
    const left = c * (side + gap);
    svg.push(
      `<rect x="${left}" y="${textHeight}" width="${side}" height="${height * pixelSide}" fill="#eee"/>`,
    );
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const n = counts[(c * height + y) * width + x]!;
        if (n === 0) continue;
        const opacity = Math.round((100 * n) / most) / 100;
        svg.push(
          `<rect x="${left + x * pixelSide}" y="${textHeight + y * pixelSide}" width="${pixelSide}" height="${pixelSide}" fill="#124" fill-opacity="${Math.max(0.1, opacity)}"/>`,
        );
      }
    }
  }
  return { svg, width: channels * (side + gap), height: textHeight + height * pixelSide + gap };
}

const label = (x: number, y: number, text: string): string =>
  `<text x="${x}" y="${y}" font-family="sans-serif" font-size="11">${text}</text>`;
