import { InputError, printable } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { layerMatches, type PrunableLayer, prunableLayers } from "../prune/layers.ts";
import { staticTypes } from "../prune/types.ts";
import { getNumber } from "../tensor/host-tensor.ts";
import { sizeOf } from "../tensor/shape.ts";
import {
  type Columns,
  columnProfile,
  columnsOf,
  flattenedImage,
  keptPerColumn,
  pixelMap,
} from "./mask-profile.ts";

/** Side of a square and width of the border, in pixels. */
const cell = 4;
const margin = 8;
/** More squares than this make a file that no viewer opens; then one square stands for several weights. */
const maxSquares = 2 ** 18;
/** Shades of a square that stands for several weights: none kept, ..., all kept. */
const shades = 8;

/**
 * Which weights of a layer are kept, as an SVG: one row per output channel, one column per weight of its filter, dark where
 * the weight is neither zero nor masked. Below it the share kept of every column, and where the columns are the pixels of a
 * flattened image, that image with what reads each pixel. A large weight is drawn with squares of f × f weights, shaded by how many are kept,
 * and says so. Columns that compaction has left out, since nothing reads them, are drawn empty. `layer` names a node that can be pruned, its weight, or the weight without ".weight". Throws E_INPUT for
 * another name and lists the layers.
 */
export function maskPicture(graph: Graph, layer: string): string {
  const types = staticTypes(graph);
  const layers = prunableLayers(graph, types);
  const found = layers.find((l) => layerMatches(l, layer));
  if (!found) {
    throw new InputError(
      `there is no layer "${printable(layer)}" with a weight to draw; the layers are ${layers.map((l) => printable(l.name)).join(", ")}.`,
    );
  }
  const read = columnsOf(graph, types, found);
  const side = Math.ceil(Math.sqrt((found.rows * read.count) / maxSquares));
  const { kept, levels, rows, columns } = squares(graph, found, read, side);
  const all = found.rows * found.cols;
  const share = ((100 * kept) / all).toFixed(1);
  const scale = side > 1 ? `; a square is ${side} x ${side} weights` : "";
  const counts = keptPerColumn(graph, found, read);
  const image = flattenedImage(graph, types, read);
  const kernel = sizeOf(found.shape.slice(2));
  const [period, what] = image ? [image[2], "a row of pixels"] : [kernel, "an input channel"];
  const parts = [
    columnProfile(counts, found.rows, cell / side, period, what),
    ...(image ? [pixelMap(counts, image)] : []),
  ];
  const width = Math.max(columns * cell, ...parts.map((part) => part.width)) + 2 * margin;
  let height = rows * cell + 2 * margin + 16;
  const below = parts.flatMap((part) => {
    const top = height;
    height += part.height;
    return [`<g transform="translate(${margin} ${top})">`, ...part.svg, "</g>"];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="${margin}" y="${margin + 8}" font-family="sans-serif" font-size="11">${escaped(found.weight)}: ${kept} of ${all} kept (${share} %)${scale}</text>`,
    `<g transform="translate(${margin} ${margin + 16})"><rect width="${columns * cell}" height="${rows * cell}" fill="#eee"/>`,
    ...paths(levels, rows, columns),
    "</g>",
    ...below,
    "</svg>",
    "",
  ].join("\n");
}

interface Squares {
  readonly rows: number;
  readonly columns: number;
  /** Shade of every square, row by row. */
  readonly levels: Uint8Array;
  readonly kept: number;
}

/** Counts what is kept in squares of side × side weights. */
function squares(graph: Graph, layer: PrunableLayer, read: Columns, side: number): Squares {
  const weight = graph.weights.get(layer.weight)!.data;
  const mask = graph.masks.get(layer.weight)?.data;
  const rows = Math.ceil(layer.rows / side);
  const columns = Math.ceil(read.count / side);
  const counts = new Uint32Array(rows * columns);
  const before = sizeOf(layer.shape.slice(0, layer.outAxis));
  const after = sizeOf(layer.shape.slice(layer.outAxis + 1));
  let kept = 0;
  let i = 0;
  for (let p = 0; p < before; p++) {
    for (let row = 0; row < layer.rows; row++) {
      const line = Math.floor(row / side) * columns;
      for (let column = p * after; column < (p + 1) * after; column++, i++) {
        if (getNumber(weight, i) === 0 || (mask && getNumber(mask, i) === 0)) continue;
        counts[line + Math.floor(read.place(column) / side)]!++;
        kept++;
      }
    }
  }
  const levels = Uint8Array.from(counts, (n, at) => {
    const high = Math.min(side, layer.rows - Math.floor(at / columns) * side);
    const wide = Math.min(side, read.count - (at % columns) * side);
    return shadeOf(n, high * wide);
  });
  return { rows, columns, levels, kept };
}

/** The lightest and darkest shade are kept for none and all. */
const shadeOf = (kept: number, all: number): number =>
  kept === 0 || kept === all
    ? (kept / all) * shades
    : Math.max(1, Math.min(shades - 1, Math.round((shades * kept) / all)));

/** One path per shade; runs of equal squares are one rectangle, which keeps the file small. */
function paths(levels: Uint8Array, rows: number, columns: number): string[] {
  const parts: string[][] = Array.from({ length: shades + 1 }, () => []);
  for (let r = 0; r < rows; r++) {
    for (let from = 0; from < columns; ) {
      const level = levels[r * columns + from]!;
      let to = from + 1;
      while (to < columns && levels[r * columns + to] === level) to++;
      const width = (to - from) * cell;
      parts[level]!.push(`M${from * cell} ${r * cell}h${width}v${cell}h${-width}z`);
      from = to;
    }
  }
  return parts.flatMap((part, level) => {
    if (level === 0 || part.length === 0) return [];
    const opacity = level === shades ? "" : ` fill-opacity="${level / shades}"`;
    return [`<path fill="#124"${opacity} d="${part.join("")}"/>`];
  });
}

const escaped = (text: string): string => printable(text).replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`);
