import type { Sensitivity } from "./curve.ts";
import type { LatencyTable } from "./latency.ts";
import type { AllocationProblem, ShareOption } from "./solve.ts";

/**
 * What to choose from: the shares of each unit that both were measured at. Damage is the rise of the cross-entropy over the unpruned
 * net, taken as never falling with the share. What the layers leave of the `whole` net's milliseconds is the rest.
 */
export function problemFrom(scan: Sensitivity, table: LatencyTable, whole: number): AllocationProblem {
  const layers = table.layers.map((l) => l.ms);
  const units = table.units.map(({ unit, points }): ShareOption[] => {
    const curve = scan.layers.find((c) => c.layer === unit.name);
    let damage = 0;
    return (curve?.points ?? []).flatMap(({ share, loss }) => {
      damage = Math.max(damage, loss - scan.dense.loss);
      const timed = points.find((p) => p.share === share);
      return timed ? [{ share, damage, effects: timed.effects }] : [];
    });
  });
  const sum = layers.reduce((total, ms) => total + ms, 0);
  return { layers, rest: Math.max(0, whole - sum), units };
}
