import * as v from "valibot";
import { FileError, printable, SecateurError } from "../errors.ts";
import { scanJson } from "./json-scan.ts";

/** Keys under which the project keeps its own text in `Graph.metadata` and in the metadata of model files. */
export const metadataKeys = {
  /** Name of the built-in net that the graph came from, e.g. "resnet20". */
  arch: "secateur.arch",
  /** JSON of the prune record: what was done to the model, step by step. */
  record: "secateur.record",
  /** JSON of {@link Preprocessing}. */
  preprocessing: "secateur.preprocessing",
  /** JSON of the training manifest: how the weights came about. */
  training: "secateur.training",
  /** JSON of the whole graph without its weights; only inside .safetensors files, never in `Graph.metadata`. */
  graph: "secateur.graph",
} as const;

/** How a model wants its images: `(pixel * scale - mean[c]) / std[c]`. One entry per channel, or one for all. */
export interface Preprocessing {
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const finite = v.pipe(v.number(), v.finite());
const preprocessingSchema = v.object({
  scale: finite,
  mean: v.pipe(v.array(finite), v.minLength(1), v.maxLength(4096)),
  std: v.pipe(
    v.array(
      v.pipe(
        finite,
        v.check((x) => x > 0, "must be above 0"),
      ),
    ),
    v.minLength(1),
    v.maxLength(4096),
  ),
});

/** The preprocessing a model carries, or undefined. Throws E_METADATA where the entry is damaged. */
export function readPreprocessing(metadata: ReadonlyMap<string, string>): Preprocessing | undefined {
  const text = metadata.get(metadataKeys.preprocessing);
  return text === undefined ? undefined : parseJson(preprocessingSchema, text, metadataKeys.preprocessing);
}

/** Parses JSON that came with a file against a schema. Throws E_METADATA saying where it fails; `what` names the text. */
export function parseJson<const S extends v.GenericSchema>(
  schema: S,
  text: string,
  what: string,
): v.InferOutput<S> {
  let value: unknown;
  try {
    scanJson(text, { depth: 16, keys: 100_000 });
    value = JSON.parse(text);
  } catch (cause) {
    if (cause instanceof SecateurError)
      throw new FileError("E_METADATA", `${what}: ${cause.message}`, {}, { cause });
    throw new FileError("E_METADATA", `${what} is not JSON: ${printable(text)}`, {}, { cause });
  }
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const issue = result.issues[0];
  const path = (issue.path ?? []).map((step) => String(step.key)).join(".");
  throw new FileError(
    "E_METADATA",
    `${what} does not have the expected form${path ? ` at ${printable(path)}` : ""}: ${printable(issue.message)}.`,
  );
}
