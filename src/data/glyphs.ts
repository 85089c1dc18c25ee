import { InputError } from "../errors.ts";
import { type Random, seeded } from "../tensor/random.ts";
import { wholeNumber } from "../tensor/shape.ts";
import type { Dataset } from "./dataset.ts";

type Point = readonly [number, number];

/** Strokes of the ten classes, digit-like: control points of smooth curves in a unit square, y downwards. */
const shapes: readonly (readonly (readonly Point[])[])[] = [
  [
    [
      [0.5, 0.08],
      [0.2, 0.25],
      [0.18, 0.7],
      [0.5, 0.93],
      [0.8, 0.7],
      [0.8, 0.25],
      [0.5, 0.08],
    ],
  ],
  [
    [
      [0.3, 0.27],
      [0.52, 0.08],
      [0.52, 0.5],
      [0.52, 0.92],
    ],
  ],
  [
    [
      [0.22, 0.28],
      [0.48, 0.08],
      [0.77, 0.28],
      [0.6, 0.55],
      [0.22, 0.9],
    ],
    [
      [0.22, 0.9],
      [0.5, 0.88],
      [0.8, 0.9],
    ],
  ],
  [
    [
      [0.24, 0.14],
      [0.6, 0.08],
      [0.74, 0.28],
      [0.45, 0.47],
    ],
    [
      [0.45, 0.47],
      [0.8, 0.62],
      [0.66, 0.9],
      [0.22, 0.86],
    ],
  ],
  [
    [
      [0.62, 0.08],
      [0.4, 0.35],
      [0.18, 0.63],
      [0.5, 0.64],
      [0.84, 0.62],
    ],
    [
      [0.64, 0.38],
      [0.62, 0.65],
      [0.6, 0.93],
    ],
  ],
  [
    [
      [0.76, 0.1],
      [0.5, 0.11],
      [0.3, 0.12],
      [0.27, 0.44],
    ],
    [
      [0.27, 0.44],
      [0.6, 0.38],
      [0.78, 0.65],
      [0.58, 0.92],
      [0.22, 0.86],
    ],
  ],
  [
    [
      [0.66, 0.08],
      [0.36, 0.34],
      [0.24, 0.7],
      [0.5, 0.93],
      [0.76, 0.72],
      [0.54, 0.5],
      [0.27, 0.66],
    ],
  ],
  [
    [
      [0.2, 0.12],
      [0.5, 0.11],
      [0.8, 0.1],
    ],
    [
      [0.8, 0.1],
      [0.56, 0.46],
      [0.42, 0.92],
    ],
  ],
  [
    [
      [0.5, 0.48],
      [0.25, 0.3],
      [0.5, 0.08],
      [0.75, 0.28],
      [0.5, 0.48],
      [0.22, 0.72],
      [0.5, 0.93],
      [0.78, 0.72],
      [0.5, 0.48],
    ],
  ],
  [
    [
      [0.73, 0.36],
      [0.48, 0.52],
      [0.25, 0.32],
      [0.48, 0.08],
      [0.74, 0.28],
      [0.7, 0.6],
      [0.5, 0.92],
    ],
  ],
];

const size = 28;
const pieces = 5;

/**
 * A generated data set: `count` images of 28 × 28 bytes in ten digit-like classes, each drawn from seeded strokes with
 * random affine and elastic distortion, thickness, clutter and noise. The same split, count and seed give the same bytes on every
 * machine: only operations that IEEE 754 defines exactly are used. Classes come in random order.
 */
export function glyphs(split: "train" | "test", count: number, seed: number): Dataset {
  if (split !== "train" && split !== "test")
    throw new InputError(`split is "${String(split)}"; it is "train" or "test".`);
  wholeNumber(count, "count of glyphs", 0, 1_000_000);
  wholeNumber(seed, "seed of glyphs", 0, 2 ** 31 - 1);
  const images = new Uint8Array(count * size * size);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    // A stream per image: the first images of a longer set are those of a shorter one.
    const random = seeded(
      (Math.imul(seed, 0x9e3779b1) ^ Math.imul(2 * i + (split === "test" ? 1 : 0) + 1, 0x85ebca6b)) | 0,
    );
    for (let warm = 0; warm < 4; warm++) random.uniform();
    labels[i] = random.below(shapes.length);
    draw(images.subarray(i * size * size, (i + 1) * size * size), shapes[labels[i]!]!, random);
  }
  return { name: "glyphs", classes: shapes.length, shape: [1, size, size], images, labels, length: count };
}

/** Sum of four uniforms, scaled to standard deviation 1: near enough to a normal, and exact on every machine. */
const bell = (random: Random): number =>
  (random.uniform() + random.uniform() + random.uniform() + random.uniform() - 2) * 1.7320508;

const between = (random: Random, low: number, high: number): number => low + (high - low) * random.uniform();

function draw(image: Uint8Array, strokes: readonly (readonly Point[])[], random: Random): void {
  const place = distortion(random);
  const jitter = (p: Point): Point => [p[0] + 0.035 * bell(random), p[1] + 0.035 * bell(random)];
  const segments: number[] = [];
  for (const stroke of strokes) addCurve(segments, stroke.map(jitter), place);
  // Clutter: a short stroke that belongs to no class.
  if (random.uniform() < 0.5) {
    const x = random.uniform();
    const y = random.uniform();
    const end: Point = [x + between(random, -0.25, 0.25), y + between(random, -0.25, 0.25)];
    addCurve(segments, [[x, y], end], place);
  }
  const radius = between(random, 0.55, 1.45);
  const ink = between(random, 120, 235);
  const noise = between(random, 8, 34);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const cover = Math.max(0, Math.min(1, radius + 0.5 - distance(segments, x, y)));
      image[y * size + x] = Math.max(0, Math.min(255, Math.round(ink * cover + noise * bell(random))));
    }
  }
}

/** Unit square to pixels: rotation, shear, scale, shift, then a slow elastic bend. */
function distortion(random: Random): (p: Point) => Point {
  const t = 0.16 * bell(random);
  const cos = (1 - t * t) / (1 + t * t);
  const sin = (2 * t) / (1 + t * t);
  const shear = 0.18 * bell(random);
  const width = between(random, 13, 20);
  const height = between(random, 16, 22);
  const dx = 13.5 + 1.6 * bell(random);
  const dy = 13.5 + 1.6 * bell(random);
  const bend = Array.from({ length: 6 }, () => 0.5 * bell(random));
  return ([px, py]) => {
    const u = px - 0.5;
    const v = py - 0.5;
    const ex = u + 0.12 * (bend[0]! * v * v + bend[1]! * u * v + bend[2]! * v * v * v * 4);
    const ey = v + 0.12 * (bend[3]! * u * u + bend[4]! * u * v + bend[5]! * u * u * u * 4);
    const x = width * (ex + shear * ey);
    const y = height * ey;
    return [dx + cos * x - sin * y, dy + sin * x + cos * y];
  };
}

/** A Catmull-Rom spline through the points, as segments x0 y0 x1 y1 in pixels. */
function addCurve(segments: number[], points: readonly Point[], place: (p: Point) => Point): void {
  let last = place(points[0]!);
  for (let i = 0; i + 1 < points.length; i++) {
    const p0 = points[Math.max(0, i - 1)]!;
    const p1 = points[i]!;
    const p2 = points[i + 1]!;
    const p3 = points[Math.min(points.length - 1, i + 2)]!;
    for (let k = 1; k <= pieces; k++) {
      const t = k / pieces;
      const at = (a: number, b: number, c: number, d: number): number =>
        0.5 *
        (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t * t * t);
      const next = place([at(p0[0], p1[0], p2[0], p3[0]), at(p0[1], p1[1], p2[1], p3[1])]);
      segments.push(last[0], last[1], next[0], next[1]);
      last = next;
    }
  }
}

/** Distance from a pixel's centre to the nearest segment. */
function distance(segments: readonly number[], x: number, y: number): number {
  let best = 1e9;
  for (let i = 0; i < segments.length; i += 4) {
    const ax = segments[i]!;
    const ay = segments[i + 1]!;
    const ux = segments[i + 2]! - ax;
    const uy = segments[i + 3]! - ay;
    const px = x - ax;
    const py = y - ay;
    const length = ux * ux + uy * uy;
    const t = length === 0 ? 0 : Math.max(0, Math.min(1, (px * ux + py * uy) / length));
    const ex = px - t * ux;
    const ey = py - t * uy;
    const d = ex * ex + ey * ey;
    if (d < best) best = d;
  }
  return Math.sqrt(best);
}
