import { InputError, printable } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { inspectGraph } from "../graph/statistics.ts";
import { getNumber } from "../tensor/host-tensor.ts";

/** Runs of cells drawn as one rectangle keep a picture of a million weights small. */
const cell = 4;
const margin = 8;

/**
 * Which weights of a layer are kept, as an SVG: one row per output channel, one column per weight of its filter, dark where
 * the weight is not zero. `layer` is the name of a node or of its weight. Throws E_INPUT for an unknown one.
 */
export function maskPicture(graph: Graph, layer: string): string {
  const layers = inspectGraph(graph).layers.filter((l) => l.shape.length >= 2);
  const node = graph.nodes.find((n) => n.name === layer || n.inputs.includes(layer));
  const weight = node?.inputs
    .map((name) => ({ name, tensor: graph.weights.get(name) }))
    .find((w) => (w.tensor?.shape.length ?? 0) >= 2);
  if (!weight?.tensor) {
    throw new InputError(
      `there is no layer "${printable(layer)}" with a weight; the layers are ${layers.map((l) => l.name).join(", ")}.`,
    );
  }
  const { name, tensor } = weight;
  const rows = tensor.shape[0]!;
  const columns = tensor.data.length / Math.max(1, rows);
  const parts: string[] = [];
  let kept = 0;
  for (let r = 0; r < rows; r++) {
    let from = -1;
    for (let c = 0; c <= columns; c++) {
      const on = c < columns && getNumber(tensor.data, r * columns + c) !== 0;
      if (on) kept++;
      if (on && from < 0) from = c;
      if (!on && from >= 0) {
        parts.push(`M${from * cell} ${r * cell}h${(c - from) * cell}v${cell}h${-(c - from) * cell}z`);
        from = -1;
      }
    }
  }
  const width = columns * cell + 2 * margin;
  const height = rows * cell + 2 * margin + 16;
  const share = ((100 * kept) / Math.max(1, tensor.data.length)).toFixed(1);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="${margin}" y="${margin + 8}" font-family="sans-serif" font-size="11">${escaped(name)}: ${kept} of ${tensor.data.length} kept (${share} %)</text>`,
    `<g transform="translate(${margin} ${margin + 16})"><rect width="${columns * cell}" height="${rows * cell}" fill="#eee"/>`,
    `<path fill="#124" d="${parts.join("")}"/></g></svg>`,
    "",
  ].join("\n");
}

const escaped = (text: string): string => printable(text).replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`);
