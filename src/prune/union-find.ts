/** Disjoint sets of whole numbers; numbers are added in order. */
export interface UnionFind {
  /** Adds `n` sets of one member each and returns their numbers. */
  add(n: number): number[];
  /** The smallest member of the set of `a`. */
  find(a: number): number;
  unite(a: number, b: number): void;
  readonly size: number;
}

export function unionFind(): UnionFind {
  const parent: number[] = [];
  const find = (a: number): number => {
    let root = a;
    while (parent[root] !== root) root = parent[root]!;
    for (let at = a; at !== root; ) {
      const next = parent[at]!;
      parent[at] = root;
      at = next;
    }
    return root;
  };
  return {
    add(n) {
      const first = parent.length;
      const added = Array.from({ length: n }, (_, i) => first + i);
      for (const id of added) parent.push(id);
      return added;
    },
    find,
    unite(a, b) {
      const x = find(a);
      const y = find(b);
      if (x < y) parent[y] = x;
      else parent[x] = y;
    },
    get size() {
      return parent.length;
    },
  };
}
