import { PruneError } from "../errors.ts";
import { type FilterRounding, keptFilters, removedUnits, roundFilters } from "./budget.ts";
import type { ChannelGroups } from "./channel-groups.ts";
import type { FilterLayer } from "./filter-layers.ts";

export interface FilterBudget {
  readonly scope: "global" | "layer";
  /** Rate of each layer, `undefined` where the layer has no rate of its own and follows those it is coupled to. */
  readonly rates: readonly (number | undefined)[];
  /** Were the rates given one by one? Then each of them has to be met. */
  readonly listed: boolean;
  readonly rounding: FilterRounding;
  readonly roundTo: number;
}

/** One layer's room: how many of its filters may go, how many have gone. */
interface Room {
  readonly filter: FilterLayer;
  readonly most: number;
  removed: number;
}

/**
 * Chooses the classes to remove. A class goes only when every layer that it spans has room left, so coupled layers all
 * reach their own counts where the coupling allows it (narrowest layers first, since their classes are shared most).
 * Lowest score first, ties by class number. Throws E_PRUNE where listed rates contradict the coupling.
 */
export function chooseFilters(
  groups: ChannelGroups,
  filters: readonly FilterLayer[],
  scores: Float64Array,
  budget: FilterBudget,
): Set<number> {
  const candidates = candidateClasses(groups, filters);
  const order = [...candidates.keys()].sort((a, b) => scores[a]! - scores[b]! || a - b);
  const removed = new Set<number>();
  if (budget.scope === "global") {
    const rate = budget.rates.find((r) => r !== undefined) ?? 0;
    const rooms = roomsOf(filters, ({ classes }) => {
      const least = Math.min(classes.length, budget.roundTo);
      return classes.length - Math.max(1, least);
    });
    const total = filters.reduce(
      (n, { classes }) => n + (classes.some((c) => candidates.has(c)) ? classes.length : 0),
      0,
    );
    takeGlobally(order, candidates, rooms, removedUnits(total, rate), removed);
    if (budget.roundTo === 1) return protect(groups, scores, removed);
    const kept = new Map(rooms.map((r) => [r.filter, r.filter.classes.length - r.removed]));
    removed.clear();
    const rounded = roomsOf(filters, (f) => {
      return f.classes.length - roundFilters(f.classes.length, kept.get(f)!, budget.roundTo);
    });
    takePerLayer(order, candidates, rounded, new Set(filters), removed);
    return protect(groups, scores, removed);
  }
  const targeted = new Set(filters.filter((_, i) => budget.rates[i] !== undefined));
  const rooms = roomsOf(filters, (f) => {
    const rate = budget.rates[filters.indexOf(f)];
    const n = f.classes.length;
    return rate === undefined ? n - 1 : n - keptFilters(n, rate, budget.rounding, budget.roundTo);
  });
  takePerLayer(order, candidates, rooms, targeted, removed);
  const safe = protect(groups, scores, removed);
  if (budget.listed) for (const room of rooms) if (targeted.has(room.filter)) checkMet(room, safe);
  return safe;
}

/** Removable classes with the number of filters that go with each. */
function candidateClasses(groups: ChannelGroups, filters: readonly FilterLayer[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { classes } of filters) {
    for (const c of classes) if (!groups.frozen.has(c)) counts.set(c, (counts.get(c) ?? 0) + 1);
  }
  return counts;
}

const roomsOf = (filters: readonly FilterLayer[], most: (filter: FilterLayer) => number): Room[] =>
  filters.map((filter) => ({ filter, most: most(filter), removed: 0 }));

/** Layers that a class spans, with how many of their filters it makes. */
function spans(rooms: readonly Room[]): Map<number, Map<Room, number>> {
  const found = new Map<number, Map<Room, number>>();
  for (const room of rooms) {
    for (const c of room.filter.classes) {
      const of = found.get(c) ?? new Map<Room, number>();
      of.set(room, (of.get(room) ?? 0) + 1);
      found.set(c, of);
    }
  }
  return found;
}

const fits = (of: ReadonlyMap<Room, number>): boolean =>
  [...of].every(([room, n]) => room.removed + n <= room.most);

function take(c: number, of: ReadonlyMap<Room, number>, removed: Set<number>): void {
  for (const [room, n] of of) room.removed += n;
  removed.add(c);
}

function takeGlobally(
  order: readonly number[],
  candidates: ReadonlyMap<number, number>,
  rooms: readonly Room[],
  target: number,
  removed: Set<number>,
): void {
  const spanned = spans(rooms);
  let left = target;
  for (const c of order) {
    const of = spanned.get(c)!;
    if (candidates.get(c)! > left || !fits(of)) continue;
    take(c, of, removed);
    left -= candidates.get(c)!;
  }
}

function takePerLayer(
  order: readonly number[],
  candidates: ReadonlyMap<number, number>,
  rooms: readonly Room[],
  targeted: ReadonlySet<FilterLayer>,
  removed: Set<number>,
): void {
  const spanned = spans(rooms);
  const removable = (room: Room): number => room.filter.classes.filter((c) => candidates.has(c)).length;
  const narrowFirst = rooms.filter((r) => targeted.has(r.filter)).sort((a, b) => removable(a) - removable(b));
  for (const room of narrowFirst) {
    const own = new Set(room.filter.classes);
    for (const c of order) {
      if (room.removed >= room.most) break;
      if (!own.has(c) || removed.has(c)) continue;
      const of = spanned.get(c)!;
      if (fits(of)) take(c, of, removed);
    }
  }
}

/** Gives back the best class of every value and weight axis that would be left with no channel at all. */
function protect(groups: ChannelGroups, scores: Float64Array, removed: ReadonlySet<number>): Set<number> {
  const safe = new Set(removed);
  const axes = [
    ...groups.slices.map((s) => s.classes),
    ...[...groups.values.values()].map(({ ids }) => ids.map((id) => groups.classOf[id]!)),
  ];
  for (const classes of axes) {
    if (classes.length === 0 || classes.some((c) => !safe.has(c))) continue;
    safe.delete(classes.reduce((best, c) => (scores[c]! > scores[best]! ? c : best)));
  }
  return safe;
}

function checkMet({ filter, most }: Room, removed: ReadonlySet<number>): void {
  const { layer, classes } = filter;
  const gone = classes.filter((c) => removed.has(c)).length;
  const step = Math.max(...classes.map((c) => classes.filter((d) => d === c).length));
  if (gone <= most && most - gone < step) return;
  throw new PruneError(
    `layer "${layer.name}" is to lose ${most} of ${classes.length} filters, but ${gone} can go: the others are held by the ` +
      "graph's output, by skipped layers or by layers that share its channels and have a lower rate. " +
      "Give coupled layers the same sparsity (inspect lists the channel groups).",
    { node: layer.name },
  );
}
