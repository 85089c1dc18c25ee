import type { Parameter } from "./net.ts";

const peak = 0.08;
const decay = 5e-4;
const momentum = 0.9;

/** One-cycle: up over the first fifth, then a cosine down to nothing (Smith and Topin 2017). */
export function rate(step: number, steps: number): number {
  const warm = steps / 5;
  return step < warm
    ? (peak * (step + 1)) / warm
    : (peak / 2) * (1 + Math.cos((Math.PI * (step - warm)) / (steps - warm)));
}

/** One step of SGD with Nesterov's momentum (Sutskever et al. 2013) and weight decay; gradients are zero afterwards. */
export function update(parameters: Iterable<Parameter>, lr: number): void {
  for (const p of parameters) {
    for (let i = 0; i < p.value.length; i++) {
      const g = p.gradient[i]! + (p.decay ? decay * p.value[i]! : 0);
      p.momentum[i] = momentum * p.momentum[i]! + g;
      p.value[i]! -= lr * (g + momentum * p.momentum[i]!);
    }
    p.gradient.fill(0);
  }
}
