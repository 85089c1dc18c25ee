import * as v from "valibot";
import { InputError, printable } from "../errors.ts";

const text = v.string();
const number = v.pipe(v.number(), v.finite());
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const fraction = v.pipe(number, v.minValue(0), v.maxValue(1));
const hash = v.pipe(text, v.regex(/^[0-9a-f]{64}$/, "a SHA-256 in hex is needed"));

const pointSchema = v.object({
  /** Asked for. */
  share: fraction,
  /** Elements, blocks or filters that went. */
  removed: count,
  top1: fraction,
  loss: number,
});

const curveSchema = v.object({
  layer: text,
  /** All layers that are pruned together with it, itself first. */
  layers: v.array(text),
  size: count,
  /** By rising share; what removes nothing, or as much as the point before it, is left out. */
  points: v.array(pointSchema),
  /** Why shares have no point, where some could not be pruned. */
  note: v.optional(text),
});

const latencySchema = v.object({
  adapter: text,
  batch: count,
  layers: v.array(
    v.object({
      layer: text,
      /** Of its unpruned kernel, one batch. */
      ms: number,
      points: v.array(v.object({ share: fraction, removed: count, ms: number, format: text, kernel: text })),
    }),
  ),
});

const sensitivitySchema = v.object({
  kind: v.literal("secateur sensitivity"),
  version: v.literal(1),
  model: v.object({ name: text, hash }),
  data: v.object({ name: text, images: count, hash }),
  settings: v.object({
    method: text,
    granularity: text,
    shares: v.array(fraction),
    roundTo: count,
    norm: text,
    seed: count,
    skip: v.array(text),
    preprocessing: v.object({ scale: number, mean: v.array(number), std: v.array(number) }),
  }),
  /** The whole net on the same images. */
  dense: v.object({ top1: fraction, loss: number }),
  layers: v.array(curveSchema),
  latency: v.optional(latencySchema),
});

/** Accuracy of the net with one layer pruned, or one set of coupled layers, by the share that it has lost. */
export type Curve = v.InferOutput<typeof curveSchema>;
export type CurvePoint = Curve["points"][number];
/** Milliseconds of each layer at each share: of the layer itself and, for filters, of those that read it. */
export type LayerLatencies = v.InferOutput<typeof latencySchema>;
/** What a sensitivity scan found, or has found so far: plain JSON, from which it can be gone on with. */
export type Sensitivity = v.InferOutput<typeof sensitivitySchema>;

/** Parses what a scan wrote. Throws E_INPUT with the place where it goes wrong. */
export function parseSensitivity(json: string): Sensitivity {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new InputError(
      `the sensitivity file is not JSON (${printable(String((cause as Error).message))}). Use it as it was written.`,
    );
  }
  const result = v.safeParse(sensitivitySchema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new InputError(
    `the sensitivity file is not valid at "${printable(v.getDotPath(issue) ?? "its top")}": ${printable(issue.message)}. Use it as it was written.`,
  );
}

/** E_INPUT unless a scan can be gone on with: same model, images and settings. */
export function checkSame(now: Sensitivity, before: Sensitivity): void {
  const parts = [
    ["model", now.model, before.model],
    ["data", now.data, before.data],
    ...Object.keys(now.settings).map((key) => {
      const name = key as keyof Sensitivity["settings"];
      return [name, now.settings[name], before.settings[name]] as const;
    }),
  ] as const;
  for (const [what, a, b] of parts) {
    const [x, y] = [JSON.stringify(a), JSON.stringify(b)];
    if (x === y) continue;
    throw new InputError(
      `${what} is ${printable(x)}, but the sensitivity file was made with ${printable(y)}. Use the same, or another file.`,
    );
  }
}
