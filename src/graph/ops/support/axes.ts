import { printable } from "../../../errors.ts";
import { normaliseAxis } from "../../../tensor/shape.ts";
import type { OpContext } from "../../op.ts";
import { refuse } from "./operands.ts";

/** Axes counted from 0, in the order given; E_ATTRIBUTE for one out of range or named twice. */
export function resolveAxes(c: OpContext, axes: readonly number[], rank: number): number[] {
  const resolved = axes.map((axis) =>
    normaliseAxis(axis, rank, `${printable(c.node.op)} "${printable(c.node.name)}"`),
  );
  if (new Set(resolved).size !== resolved.length) {
    refuse(c, "E_ATTRIBUTE", `axes [${axes}] name an axis twice.`);
  }
  return resolved;
}

/** 0, 1, …, rank - 1. */
export const allAxes = (rank: number): number[] => Array.from({ length: rank }, (_, i) => i);
