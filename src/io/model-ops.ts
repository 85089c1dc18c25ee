import { printable, UnsupportedError } from "../errors.ts";
import type { Node } from "../graph/graph.ts";
import { findOp } from "../graph/ops/index.ts";

/**
 * E_UNSUPPORTED for ops of a file that are unknown, or that only training makes. Names all of them at once, so that nobody
 * learns of them one by one.
 */
export function checkOps(nodes: readonly Node[]): void {
  const unknown = nodes.filter((n) => {
    const known = findOp(n.op);
    return !known || known.internal;
  });
  const [first] = unknown;
  if (!first) return;
  const ops = [...new Set(unknown.map((n) => printable(n.op)))];
  const [op, node] = [printable(first.op), printable(first.name)];
  const more = ops.length > 10 ? ` and ${ops.length - 10} more` : "";
  const what =
    ops.length === 1
      ? `op ${op} (node "${node}") is`
      : `ops ${ops.slice(0, 10).join(", ")}${more} (first: node "${node}") are`;
  throw new UnsupportedError(`${what} not supported. See the README for the list of ops.`, { op, node });
}
