import type { WeightMatrix } from "./pack.ts";
import type { ColumnsProblem } from "./problem.ts";

/** `make`, worked out once per matrix and key, for as long as the matrix is there. */
export function oncePerMatrix<K, V>(
  make: (p: ColumnsProblem, w: WeightMatrix, key: K) => V,
): (p: ColumnsProblem, w: WeightMatrix, key: K) => V {
  const known = new WeakMap<WeightMatrix, Map<K, V>>();
  return (p, w, key) => {
    let own = known.get(w);
    if (!own) {
      own = new Map();
      known.set(w, own);
    }
    if (!own.has(key)) own.set(key, make(p, w, key));
    return own.get(key) as V;
  };
}
