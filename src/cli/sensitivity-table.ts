import { percent } from "../report/format.ts";
import { textTable } from "../report/table.ts";
import type { Sensitivity } from "../sensitivity/curve.ts";

/** A coupled set goes by its first layer and the number of the others. */
const nameOf = ({ layer, layers }: { readonly layer: string; readonly layers: readonly string[] }): string =>
  layers.length > 1 ? `${layer} and ${layers.length - 1} coupled` : layer;

/** Top-1 of every layer at every share; "-" where a share removes nothing, or nothing more. */
export function accuracyTable({ settings, dense, layers }: Sensitivity): string {
  const head = ["layer", "size", "0 %", ...settings.shares.map(shareText)];
  const rows = layers.map((curve) => [
    nameOf(curve),
    String(curve.size),
    percent(dense.top1),
    ...settings.shares.map((share) => {
      const point = curve.points.find((p) => p.share === share);
      return point ? percent(point.top1) : "-";
    }),
  ]);
  return textTable(head, rows);
}

/** Milliseconds of every layer at every share, with the format that was fastest. */
export function latencyTable({ settings, layers, latency }: Sensitivity): string {
  const head = ["layer", "ms dense", ...settings.shares.map(shareText)];
  const rows = (latency?.layers ?? []).map(({ layer, ms, points }) => {
    const coupled = layers.find((l) => l.layer === layer)?.layers ?? [layer];
    return [
      nameOf({ layer, layers: coupled }),
      ms.toFixed(3),
      ...settings.shares.map((share) => {
        const point = points.find((p) => p.share === share);
        return point ? `${point.ms.toFixed(3)} ${point.format}` : "-";
      }),
    ];
  });
  return textTable(head, rows);
}

const shareText = (share: number): string => `${+(100 * share).toFixed(2)} %`;
