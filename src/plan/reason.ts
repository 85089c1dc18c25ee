import type { Budget } from "./budget.ts";
import { type Field, rankIn } from "./contenders.ts";
import type { Ranked } from "./estimate.ts";

/** How much faster than dense a sparse kernel must measure before it is taken: beyond the noise of one measurement. */
const margin = 0.97;

/** Does the best sparse kernel win, and how many times as fast as dense is it? */
export function decide(
  denseMs: number,
  sparseMs: number | undefined,
): { readonly sparse: boolean; readonly ratio: number | undefined } {
  if (sparseMs === undefined) return { sparse: false, ratio: undefined };
  return { sparse: sparseMs <= denseMs * margin, ratio: denseMs / sparseMs };
}

const sizeOf = ({ dense, sparse }: Field): number => dense.length + sparse.length;

/** What is to be told of a layer that was measured. */
interface Story {
  readonly field: Field;
  /** Contenders that ran. */
  readonly reached: number;
  readonly chosen: Ranked;
  /** The fastest sparse contender, where there is one. */
  readonly best: Ranked | undefined;
  /** Dense milliseconds over its. */
  readonly ratio: number | undefined;
  /** Was it known, with nothing run? */
  readonly before: boolean;
  /** The equal layer that was measured in this one's place. */
  readonly like: string | undefined;
}

/** Why a measured layer runs as it does. */
export function sayMeasured({ field, reached, chosen, best, ratio, before, like }: Story): string {
  const all = sizeOf(field);
  const n = reached === all ? `${all}` : `the ${reached} of ${all} that the budget reached`;
  const rank = `rank ${rankIn(field, chosen)} by the cost model`;
  const where = before ? "measured before: " : like === undefined ? "" : `as ${like}: `;
  if (field.dense.length === 0) return `${where}fastest of ${n}, no dense kernel holds its weight, ${rank}`;
  if (chosen.variant.format !== "dense")
    return `${where}fastest of ${n}, ${ratio!.toFixed(2)}x faster than dense, ${rank}`;
  if (!best || ratio === undefined) {
    const why = field.sparse.length === 0 ? "nothing to skip" : "no sparse one is right";
    return `${where}fastest of ${n}, dense: ${why}, ${rank}`;
  }
  const { format } = best.variant;
  if (ratio > 1)
    return `${where}dense of ${n}: the best sparse, ${format}, is only ${ratio.toFixed(2)}x as fast, within noise, ${rank}`;
  return `${where}fastest of ${n}, dense: the best sparse, ${format}, takes ${(1 / ratio).toFixed(2)}x its time, ${rank}`;
}

/** Why a layer that time did not reach runs as it does. `winner` is the dense variant that measured fastest, if that is known. */
export function sayUnmeasured(
  field: Field,
  chosen: Ranked,
  winner: Ranked | undefined,
  { seconds }: Budget,
): string {
  const how =
    chosen === winner
      ? "dense by the cost model, of dense ones the fastest measured"
      : `cheapest of ${sizeOf(field)} by the cost model`;
  return `not measured: the budget of ${Number(seconds.toPrecision(3))} s was used up; ${how}`;
}
