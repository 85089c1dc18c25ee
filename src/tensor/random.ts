import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/** A seeded stream of numbers: the same seed gives the same stream on every machine. */
export interface Random {
  /** Uniform in [0, 1), 32 random bits. */
  uniform(): number;
  /** Standard normal, by Box and Muller. */
  normal(): number;
  /** Uniform whole number in [0, n). */
  below(n: number): number;
}

export function seeded(seed: number): Random {
  const generator = xoroshiro128plus(seed | 0);
  let spare: number | undefined;
  const uniform = (): number => (generator.next() >>> 0) / 2 ** 32;
  return {
    uniform,
    normal() {
      if (spare !== undefined) {
        const value = spare;
        spare = undefined;
        return value;
      }
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
      const angle = 2 * Math.PI * uniform();
      spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    },
    below: (n) => Math.floor(uniform() * n),
  };
}

/** Fisher-Yates, in place. */
export function shuffle<T>(items: T[] | Uint32Array | Int32Array, random: Random): void {
  const list = items as T[];
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const t = list[i]!;
    list[i] = list[j]!;
    list[j] = t;
  }
}
