/** Above so many processors kept busy by others, on average, a measurement says little. */
export const contaminatedFrom = 0.2;

/**
 * Which rounds of a shape count, by how many processors others kept busy in each: the first `wanted` quiet ones. Where fewer than
 * `least` were quiet, the quietest, as many as wanted: then the rows say that they are contaminated. Times play no part.
 */
export function keptRounds(otherCpus: readonly number[], wanted: number, least: number): number[] {
  const all = otherCpus.map((_, i) => i);
  const quiet = all.filter((i) => otherCpus[i]! <= contaminatedFrom);
  if (quiet.length >= least) return quiet.slice(0, wanted);
  const quietest = all.sort((a, b) => otherCpus[a]! - otherCpus[b]! || a - b).slice(0, wanted);
  return quietest.sort((a, b) => a - b);
}

/** Is a shape done after these rounds? When enough were quiet, else after twice as many, or when the time is up. */
export function roundsDone(
  otherCpus: readonly number[],
  { wanted, least, timeIsUp }: { wanted: number; least: number; timeIsUp: boolean },
): boolean {
  const quiet = otherCpus.filter((o) => o <= contaminatedFrom).length;
  if (quiet >= wanted || otherCpus.length >= 2 * wanted) return true;
  return timeIsUp && otherCpus.length >= least;
}
